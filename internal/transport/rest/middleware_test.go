package rest_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
)

func TestRequestID(t *testing.T) {
	tests := map[string]bool{ // id: accepted
		"abc-1.2_Z": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\x01b": false, "+79000000001": false, "é": false,
	}
	for sent, accepted := range tests {
		for _, line := range []string{"GET /ping", "GET /nowhere", "GET /courier/0"} {
			w := do(handler(new(fake), io.Discard), request(t, line, "", "X-Request-ID: "+sent))
			got := w.Header().Get("X-Request-ID")
			if (got == sent) != accepted || len(got) == 0 {
				t.Errorf("%s: sent %q, got %q; want it accepted: %t", line, sent, got, accepted)
			}
		}
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	h := handler(new(fake), io.Discard)
	a, b := do(h, request(t, "GET /ping", "")), do(h, request(t, "GET /ping", ""))
	if id := a.Header().Get("X-Request-ID"); id == b.Header().Get("X-Request-ID") {
		t.Errorf("both are %q", id)
	}
}

// TestLog checks that the log has the error with the id of the request, and no
// personal data.
func TestLog(t *testing.T) {
	tests := map[string]struct {
		fake fake
		line string
		want string
	}{
		"access":      {fake{}, "POST /courier", `level=DEBUG msg="request served" request_id=r1 method=POST route="POST /courier" status=201 bytes=9`},
		"no route":    {fake{}, "GET /Anna/+79000000001", `level=DEBUG msg="request served" request_id=r1 method=GET route="" status=404`},
		"fault":       {fake{err: errors.New("boom")}, "POST /courier", `level=ERROR msg="request failed" request_id=r1 operation=register-courier error=boom`},
		"unavailable": {fake{err: courier.ErrUnavailable}, "POST /courier", `level=WARN msg="request failed, dependency unavailable" request_id=r1 operation=register-courier`},
		"panic":       {fake{panics: "boom"}, "POST /courier", `level=ERROR msg="handler panicked" request_id=r1 route="POST /courier" panic=boom stack=`},
		"conflict":    {fake{err: courier.ErrPhoneRegistered}, "POST /courier", `status=409`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			do(handler(&tt.fake, &log), request(t, tt.line, anna, "X-Request-ID: r1"))
			if !strings.Contains(log.String(), tt.want) {
				t.Errorf("log:\n%s\nwant %s", &log, tt.want)
			}
			for _, secret := range []string{"Anna", "+7900"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("the log contains %s:\n%s", secret, &log)
				}
			}
			if strings.Contains(name, "conflict") && strings.Contains(log.String(), "ERROR") {
				t.Errorf("a mistake of the client is logged as an error:\n%s", &log)
			}
		})
	}
}

// TestReportedOutageIsNotLoggedByRequests: one open page would log a line every second.
func TestReportedOutageIsNotLoggedByRequests(t *testing.T) {
	for reported, level := range map[bool]string{true: "DEBUG", false: "WARN"} {
		var log bytes.Buffer
		deps := dependencies(&fake{err: courier.ErrUnavailable}, &log)
		deps.Reported = func(err error) bool { return reported && errors.Is(err, courier.ErrUnavailable) }
		do(rest.New(rest.Config{}, deps).Handler(), request(t, "POST /courier", anna))
		if want := "level=" + level + ` msg="request failed, dependency unavailable"`; !strings.Contains(log.String(), want) {
			t.Errorf("reported %t: want %s, got:\n%s", reported, want, &log)
		}
	}
}

func TestClientDisconnectIsNotLoggedAsWarning(t *testing.T) {
	var log bytes.Buffer
	r := request(t, "GET /couriers", "")
	ctx, cancel := contextGone(r.Context())
	defer cancel()
	do(handler(&fake{waits: true}, &log), r.WithContext(ctx))
	if strings.Contains(log.String(), "WARN") || strings.Contains(log.String(), "ERROR") {
		t.Errorf("log:\n%s", &log)
	}
}

// TestPanicAfterResponseBegan fails when recovered appends its problem to a partial
// response, which would look complete.
func TestPanicAfterResponseBegan(t *testing.T) {
	deps := dependencies(new(fake), io.Discard)
	deps.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("boom")
	})
	defer func() {
		v := recover()
		if err, _ := v.(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want the connection broken by http.ErrAbortHandler", v)
		}
	}()
	do(rest.New(rest.Config{}, deps).Handler(), request(t, "GET /metrics", ""))
	t.Error("the response looks complete")
}

// stuckClient is a client that reads no more: a write ends at its deadline.
type stuckClient struct{ *httptest.ResponseRecorder }

func (stuckClient) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// TestClientThatStopsReadingIsNoPanic: huma panics when it cannot write; the log has
// neither an error nor a stack.
func TestClientThatStopsReadingIsNoPanic(t *testing.T) {
	var log bytes.Buffer
	defer func() {
		if err, _ := recover().(error); err != nil && !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
		if strings.Contains(log.String(), "ERROR") || strings.Contains(log.String(), "panic") {
			t.Errorf("log:\n%s", &log)
		}
	}()
	handler(new(fake), &log).ServeHTTP(stuckClient{httptest.NewRecorder()}, request(t, "GET /courier/7", ""))
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := do(handler(&fake{waits: true}, io.Discard), request(t, "GET /couriers", ""))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	})
}

func TestIncompleteBody(t *testing.T) {
	tests := map[int]error{
		http.StatusRequestTimeout: os.ErrDeadlineExceeded,
		http.StatusBadRequest:     io.ErrUnexpectedEOF,
	}
	for status, cause := range tests {
		r := request(t, "POST /courier", anna)
		r.Body = io.NopCloser(iotest.ErrReader(cause))
		w := do(handler(new(fake), io.Discard), r)
		if w.Code != status || w.Header().Get("Content-Type") != problemType {
			t.Errorf("%v: status %d %q, want a problem of %d", cause, w.Code, w.Header().Get("Content-Type"), status)
		}
	}
}
