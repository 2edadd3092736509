package rest

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"service-courier/internal/access"
)

// refusedLines is how many refusals are logged a second, at most one per caller and code:
// a client that sends bad requests must not fill the log.
const refusedLines = 10

// refusals answers, logs and counts requests that are refused for who sends them: 401,
// 403 and 421.
type refusals struct {
	log      *slog.Logger
	observer RequestObserver // or nil

	mu      sync.Mutex
	began   time.Time       // of the current second
	logged  map[string]bool // the callers in it
	omitted int             // since the last line
}

func (f *refusals) refuse(w http.ResponseWriter, r *http.Request, caller access.Caller, p *Problem) {
	f.report(r.Context(), p.Code, callerKey(r.RemoteAddr, caller), r.Pattern)
	writeProblem(w, r, p)
}

// report logs and counts a refusal of a client.
func (f *refusals) report(ctx context.Context, code, client, route string) {
	if f.observer != nil {
		f.observer.Refused(code)
	}
	if omitted, ok := f.admit(code + " " + client); ok {
		f.log.LogAttrs(ctx, slog.LevelWarn, "request refused", slog.String("request_id", requestID(ctx)),
			slog.String("code", code), slog.String("client", client), slog.String("route", route), slog.Int("omitted", omitted))
	}
}

// admit reports whether to log a refusal, and how many were not logged before.
func (f *refusals) admit(key string) (omitted int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.began) >= time.Second {
		f.began, f.logged = time.Now(), make(map[string]bool, refusedLines)
	}
	if f.logged[key] || len(f.logged) >= refusedLines {
		f.omitted++
		return 0, false
	}
	f.logged[key] = true
	omitted, f.omitted = f.omitted, 0
	return omitted, true
}
