package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"syscall"
	"time"

	"service-courier/internal/access"
	"service-courier/internal/config"
	"service-courier/internal/outage"
	"service-courier/internal/transport/connections"
	"service-courier/internal/transport/rest"
	"service-courier/internal/transport/web"
)

const (
	maxProfile            = 120 // seconds, the longest time of a profile
	maxProfileConnections = 16
	maxEventsConnections  = 64
	maxAPIConnections     = 8192
	// otherDescriptors are what the process has open besides connections of clients: those
	// to service-order, PostgreSQL and Kafka, and files.
	otherDescriptors = orderConns + poolConns + apiPoolConns + maxEventsConnections + 40
)

// connectionsOf is the limit of the API's connections: fewer where the process may open
// few descriptors.
func connectionsOf(descriptors uint64) int {
	const fewest = 64
	if descriptors < otherDescriptors+fewest {
		return fewest
	}
	return int(min(descriptors-otherDescriptors, maxAPIConnections)) //nolint:gosec // at most maxAPIConnections
}

// startPprof serves Go's profiles at PPROF_ADDR, if set. They have a listener of
// their own, which config restricts to this machine: a profile shows memory
// contents and uses a CPU.
func (a *App) startPprof(ctx context.Context) error {
	if a.cfg.PprofAddr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.PprofAddr)
	if err != nil {
		return fmt.Errorf("serve profiles (PPROF_ADDR): %w", err)
	}
	server, conns := newPprofServer(a.log), connections.New(maxProfileConnections, func() {})
	go func() {
		if err := server.Serve(conns.Listener(listener)); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("serving profiles failed", slog.Any("error", err))
		}
	}()
	a.closers.Add("profiles", func(context.Context) error { return server.Close() })
	a.log.InfoContext(ctx, "serving profiles", slog.String("addr", listener.Addr().String()))
	return nil
}

// ErrEventsAddrTaken means that another process listens at the address of the events page.
var ErrEventsAddrTaken = errors.New("cannot serve the events page")

// startEvents serves the events page at EVENTS_ADDR, if set: the same handler with the same
// access, restricted to what that page needs.
func (a *App) startEvents(ctx context.Context) error {
	if a.cfg.EventsAddr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.EventsAddr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %w: stop the program that uses it, or set another address (EVENTS_ADDR)", ErrEventsAddrTaken, err)
	}
	if err != nil {
		return fmt.Errorf("serve the events page (EVENTS_ADDR): %w", err)
	}
	server := &http.Server{
		Handler: eventsOnly(a.http.Handler()), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := server.Serve(limitEvents(listener)); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("serving the events page failed", slog.Any("error", err))
		}
	}()
	a.closers.Add("events page", func(context.Context) error { return server.Close() })
	a.eventsAddr = listener.Addr().String()
	a.log.InfoContext(ctx, "serving the events page", slog.String("addr", a.eventsAddr))
	return nil
}

// limitEvents bounds the connections of the events page, which would otherwise use up the
// descriptors of the API and its health checks.
func limitEvents(listener net.Listener) net.Listener {
	return connections.New(maxEventsConnections, func() {}).Listener(listener)
}

// EventsAddr returns the address of the events page; "" without one.
func (a *App) EventsAddr() string { return a.eventsAddr }

// eventsOnly passes on what the events page needs: reading, the documents that explain an
// error, signing in and out, and publishing a record.
func eventsOnly(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler("/ui/events", http.StatusFound))
	for _, pattern := range []string{
		"GET /api/v1/", "GET /readyz", "GET /problems/", "GET /docs", "GET /docs/", "GET /openapi.json",
		"POST /api/v1/session", "DELETE /api/v1/session", "POST /api/v1/records",
	} {
		mux.Handle(pattern, next)
	}
	mux.Handle("GET /ui/", web.EventsAlone(next))
	return rest.Routed(mux)
}

func newPprofServer(log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // by go tool pprof
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seconds, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64)
			switch {
			case !access.HostAllowed(r.Host):
				w.WriteHeader(http.StatusMisdirectedRequest)
			case err == nil && !(seconds <= maxProfile): // NaN too
				w.WriteHeader(http.StatusBadRequest)
			case r.Method == http.MethodHead: // it would take the time of a profile
			default:
				mux.ServeHTTP(w, r)
			}
		}),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// loadCallers returns who may call the API; nil when it requires no tokens. It warns
// when such an API can be reached from other machines.
func loadCallers(ctx context.Context, cfg config.Config, log *slog.Logger) (rest.Callers, error) {
	switch {
	case cfg.APITokensFile != "":
		file, err := access.OpenFile(cfg.APITokensFile, outage.New(log, "API_TOKENS_FILE"))
		if err != nil {
			return nil, fmt.Errorf("API_TOKENS_FILE: %w", err)
		}
		return file, nil
	case cfg.APITokens != "":
		tokens, err := access.Parse(string(cfg.APITokens))
		if err != nil {
			return nil, fmt.Errorf("API_TOKENS: %w", err)
		}
		return tokens, nil
	case cfg.OpenToNetwork():
		log.WarnContext(ctx, "api open to the network without tokens",
			slog.String("addr", cfg.HTTPAddr), slog.String("fix", "set API_TOKENS"))
	}
	return nil, nil // no tokens are required
}
