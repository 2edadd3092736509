package rest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/access"
	"service-courier/internal/transport/rest"
)

// counter counts refusals by code.
type counter map[string]int

func (c counter) Served(string, string, int, time.Duration) {}
func (c counter) Refused(code string)                       { c[code]++ }

// TestRefusalsAreLogged: each kind, with the caller's name or address and without a token;
// any number of them makes ten lines a second, which say how many were left out.
func TestRefusalsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		counted := make(counter)
		deps := dependencies(new(fake), &log)
		tokens, err := access.Parse("monitor:read:" + readToken)
		if err != nil {
			t.Fatal(err)
		}
		deps.Callers, deps.Requests = tokens, counted
		h := rest.New(rest.Config{}, deps).Handler()
		refused := func() int { return strings.Count(log.String(), `level=WARN msg="request refused"`) }
		send := func(line, address string, headers ...string) {
			r := request(t, line, "", append(headers, "X-Request-ID: r1")...)
			r.RemoteAddr = address
			if status := do(h, r).Code; status != http.StatusUnauthorized && status != http.StatusForbidden && status != http.StatusMisdirectedRequest {
				t.Errorf("%s: %d", line, status)
			}
		}
		for range 3 {
			send("GET /couriers", "192.0.2.1:1000")
			send("GET /couriers", "192.0.2.1:1001", "Authorization: Bearer "+operateToken, "X-Forwarded-For: 198.51.100.1")
			send("POST /courier", "192.0.2.1:1002", "Authorization: Bearer "+readToken)
			send("POST /courier", "192.0.2.1:1003", "Sec-Fetch-Site: cross-site")
			r := request(t, "GET /couriers", "")
			r.Host, r.RemoteAddr = "evil.example", "[2001:db8::1]:1004"
			do(h, r)
		}
		for _, want := range []string{
			`request_id=r1 code=unauthorized client="address 192.0.2.1/32" route="GET /couriers" omitted=0`,
			`request_id=r1 code=forbidden client="caller monitor" route="POST /courier" omitted=`,
			`request_id=r1 code=cross_origin client="address 192.0.2.1/32" route="" omitted=`,
			`code=misdirected_request client="address 2001:db8::/64" route="" omitted=`,
		} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("want once %s", want)
			}
		}
		if n := refused(); n != 4 {
			t.Errorf("%d lines", n)
		}
		log.Reset()
		for second := range 2 {
			time.Sleep(time.Second) // of the synctest clock
			for i := range 1000 {
				send("GET /couriers", fmt.Sprintf("192.0.%d.%d:1", second, i%256))
			}
		}
		if n := refused(); n != 20 || !strings.Contains(log.String(), "omitted=990") {
			t.Errorf("2,000 refusals make %d lines:\n%s", n, &log)
		}
		want := counter{"unauthorized": 2006, "forbidden": 3, "cross_origin": 3, "misdirected_request": 3}
		if fmt.Sprint(counted) != fmt.Sprint(want) {
			t.Errorf("counted %v, want %v", counted, want)
		}
		if strings.Contains(log.String(), readToken) || strings.Contains(log.String(), operateToken) {
			t.Error("the log shows a token")
		}
		if t.Failed() {
			t.Logf("log:\n%s", &log)
		}
	})
}

// TestRefusedSignInIsLogged: an unknown token in a body is a 401 like one in a header; that
// one is reported too where the answer is 200, signed_in false.
func TestRefusedSignInIsLogged(t *testing.T) {
	var log bytes.Buffer
	counted := make(counter)
	deps := dependencies(new(fake), &log)
	deps.Callers, _ = access.Parse("monitor:read:" + readToken)
	deps.Requests = counted
	h := rest.New(rest.Config{}, deps).Handler()
	r := request(t, "POST /api/v1/session", `{"token":"`+operateToken+`"}`, "X-Request-ID: r1")
	r.RemoteAddr = "192.0.2.1:1000"
	if status := do(h, r).Code; status != http.StatusUnauthorized || counted["unauthorized"] != 1 {
		t.Errorf("%d, counted %v", status, counted)
	}
	show := request(t, "GET /api/v1/session", "", "X-Request-ID: r2", "Authorization: Bearer "+operateToken)
	show.RemoteAddr = "192.0.2.2:1000"
	if status := do(h, show).Code; status != http.StatusOK || counted["unauthorized"] != 2 {
		t.Errorf("%d, counted %v", status, counted)
	}
	if do(h, request(t, "GET /api/v1/session", "")); counted["unauthorized"] != 2 {
		t.Error("a request without a token is counted as refused")
	}
	text := log.String()
	for _, line := range []string{
		`request_id=r1 code=unauthorized client="address 192.0.2.1/32" route="POST /api/v1/session"`,
		`request_id=r2 code=unauthorized client="address 192.0.2.2/32" route="GET /api/v1/session"`,
	} {
		if !strings.Contains(text, line) || strings.Contains(text, operateToken) {
			t.Errorf("want %s in the log:\n%s", line, text)
		}
	}
}
