package api

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"service-courier/internal/config"
)

// TestTokenRotation changes the token file of a running service: the new token works
// and the old one does not, without a restart. Public routes need no token.
func TestTokenRotation(t *testing.T) {
	const (
		before, after = "before-before-before-before", "after-after-after-after-after"
		dispatch      = `{"name":"N","phone":"+79000000099","transport_type":"car"}`
	)
	path := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ann:operate:" + before + "\nprometheus:read:read-read-read-read-read-read\n")
	s := newStack(t, 1, func(c *config.Config) { c.APITokensFile = path })
	s.want(201, `\{"id":2\}`, "POST /courier", dispatch, "Authorization: Bearer "+before)
	s.want(401, "unauthorized", "POST /courier", dispatch)
	s.want(401, "unauthorized", "POST /courier", dispatch, "Authorization: Bearer "+after)
	s.want(403, "forbidden", "POST /courier", dispatch, "Authorization: Bearer read-read-read-read-read-read")
	if _, answer := s.call("POST /courier", dispatch, "Authorization: Bearer read-read-read-read-read-read"); !strings.Contains(answer, "needs the role operate; the token prometheus has the role read") {
		t.Errorf("403 does not name the roles: %s", answer)
	}
	for _, line := range []string{"GET /ping", "GET /livez", "GET /readyz", "GET /docs", "GET /openapi.json", "GET /problems/unauthorized"} {
		if status, answer := s.call(line, ""); status != http.StatusOK {
			t.Errorf("%s: %d %s", line, status, answer)
		}
	}
	s.want(401, "unauthorized", "GET /metrics", "")

	write("# rotated\nann:operate:" + after)
	s.eventually("the new token works", func() bool {
		status, _ := s.call("GET /couriers", "", "Authorization: Bearer "+after)
		return status == http.StatusOK
	})
	s.want(401, "unauthorized", "GET /couriers", "", "Authorization: Bearer "+before)

	write("not a token")
	s.eventually("the invalid file is logged", func() bool {
		s.call("GET /couriers", "", "Authorization: Bearer "+after) // the file is read on requests
		return strings.Contains(s.logs.String(), `"component":"API_TOKENS_FILE"`)
	})
	s.want(200, `.*`, "GET /couriers", "", "Authorization: Bearer "+after)
	for _, token := range []string{before, after} {
		if strings.Contains(s.logs.String(), token) {
			t.Error("the log contains a token")
		}
	}
}

// TestProfilesHaveTheirOwnAddress: they are not part of the API.
func TestProfilesHaveTheirOwnAddress(t *testing.T) {
	s := newStack(t, 0, func(c *config.Config) { c.PprofAddr = "127.0.0.1:0" })
	s.want(404, "route_not_found", "GET /debug/pprof/", "")
	found := regexp.MustCompile(`"msg":"serving profiles","addr":"([^"]*)"`).FindStringSubmatch(s.logs.String())
	if found == nil {
		t.Fatal("the log does not contain their address")
	}
	s.url = "http://" + found[1]
	if status, answer := s.call("GET /debug/pprof/goroutine?debug=1", ""); status != http.StatusOK || !strings.Contains(answer, "goroutine profile") {
		t.Errorf("%d %.200s", status, answer)
	}
}

// TestRequestLimits: a request that is too long is refused, and the next one is served.
func TestRequestLimits(t *testing.T) {
	s := newStack(t, 0)
	s.want(413, "body_too_large", "POST /courier", `{"name":"`+strings.Repeat("x", 65<<10)+`"}`)
	if status, _ := s.call("GET /ping", "", "X-Long: "+strings.Repeat("x", 32<<10)); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 32 KiB: %d", status)
	}
	s.want(200, `\{"message":"pong"\}`, "GET /ping", "")
}
