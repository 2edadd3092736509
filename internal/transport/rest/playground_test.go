package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"service-courier/internal/access"
	"service-courier/internal/transport/rest"
)

// TestPlayground: only a server with a Playground has its routes and says so in the
// session; a change needs the role operate and a page of the same origin.
func TestPlayground(t *testing.T) {
	deps := dependencies(new(fake), io.Discard)
	without := rest.New(rest.Config{}, deps).Handler()
	deps.Playground = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) })
	with := rest.New(rest.Config{}, deps).Handler()
	tokens, err := access.Parse("monitor:read:" + readToken + ",dispatcher:operate:" + operateToken)
	if err != nil {
		t.Fatal(err)
	}
	deps.Callers = tokens
	protected := rest.New(rest.Config{}, deps).Handler()

	const reader, operator = "Authorization: Bearer " + readToken, "Authorization: Bearer " + operateToken
	for _, c := range []struct {
		h       http.Handler
		line    string
		headers []string
		want    int
	}{
		{without, "GET /dev/v1/state", nil, http.StatusNotFound},
		{without, "POST /dev/v1/postgresql/stop", nil, http.StatusNotFound},
		{with, "GET /dev/v1/state", nil, http.StatusOK},
		{with, "POST /dev/v1/postgresql/stop", nil, http.StatusOK},
		{with, "DELETE /dev/v1/order-service/orders/1", nil, http.StatusOK},
		{with, "PUT /dev/v1/state", nil, http.StatusMethodNotAllowed},
		{with, "POST /dev/v1/postgresql/stop", []string{"Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
		{protected, "GET /dev/v1/state", nil, http.StatusUnauthorized},
		{protected, "GET /dev/v1/state", []string{reader}, http.StatusOK},
		{protected, "POST /dev/v1/postgresql/stop", []string{reader}, http.StatusForbidden},
		{protected, "DELETE /dev/v1/order-service/orders/1", []string{reader}, http.StatusForbidden},
		{protected, "POST /dev/v1/postgresql/stop", []string{operator}, http.StatusOK},
	} {
		if w := do(c.h, request(t, c.line, "", c.headers...)); w.Code != c.want {
			t.Errorf("%s with %v: %d, want %d", c.line, c.headers, w.Code, c.want)
		}
	}
	session := func(h http.Handler, headers ...string) bool {
		return strings.Contains(do(h, request(t, "GET /api/v1/session", "", headers...)).Body.String(), `"playground":true`)
	}
	if session(without) || session(protected) || !session(with) || !session(protected, reader) {
		t.Error("the session is wrong about the Playground")
	}
}
