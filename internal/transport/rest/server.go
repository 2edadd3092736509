package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"service-courier/internal/transport/connections"
)

// The limits of the server. Config.RequestTimeout must be below writeTimeout.
const (
	readHeaderTimeout     = 5 * time.Second
	readTimeout           = 10 * time.Second
	writeTimeout          = 30 * time.Second
	idleTimeout           = 2 * time.Minute
	stopTimeout           = 5 * time.Second
	defaultRequestTimeout = 5 * time.Second
	defaultMaxConnections = 8192
	maxHeaderBytes        = 16 << 10
	maxBodyBytes          = 64 << 10
)

// Config has the address and the limits of requests.
type Config struct {
	Addr           string        // host:port; port 0 lets the system choose
	AllowedHosts   []string      // names that clients may use, besides localhost, IP addresses and the host of Addr
	RateLimit      int           // requests per second and address; 0: unlimited
	RequestTimeout time.Duration // 5 s when zero
	MaxConnections int           // at a time; 8192 when zero
}

// Dependencies are what the API serves. Without Metrics or Stream there is no such
// route, without Callers no token is required; Requests and Trace may be nil, too.
type Dependencies struct {
	Callers     Callers
	Couriers    Couriers
	Orders      Orders
	Statistics  Statistics
	Readiness   Readiness
	History     History
	Metrics     http.Handler
	Stream      Stream
	Requests    RequestObserver
	Trace       func(http.Handler) http.Handler // wraps the handler of every request
	Log         *slog.Logger
	Reported    func(error) bool // whether the log has the outage that a request failed for; nil: never
	Consumption Consumption
	DeadLetters DeadLetters
	Records     Records
	AsyncAPI    []byte       // describes the published events, at /asyncapi.json; nil: none
	Web         http.Handler // the pages under /ui/, to which / redirects; nil: none
	Plain       PlainPages   // nil: none
	Playground  http.Handler // of the development environment, under /dev/v1/; nil: none
}

// Server is the HTTP server. It is started once.
type Server struct {
	addr     string
	log      *slog.Logger
	http     *http.Server
	conns    *connections.Limit
	stopOnce sync.Once
	stopErr  error
	failed   chan error // of size 1

	mu       sync.Mutex
	listener net.Listener
	served   chan struct{} // closed when Serve has returned
	stopped  bool
}

// New returns a server that is not listening yet.
func New(cfg Config, deps Dependencies) *Server {
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = defaultRequestTimeout
	}
	cfg.MaxConnections = cmp.Or(cfg.MaxConnections, defaultMaxConnections)
	reported := rate.Sometimes{Interval: time.Minute}
	conns := connections.New(cfg.MaxConnections, func() {
		reported.Do(func() {
			deps.Log.Warn("connection limit reached, idle ones closed", slog.Int("limit", cfg.MaxConnections))
		})
	})
	stopping := make(chan struct{})
	unused := unusedConns{all: make(map[net.Conn]struct{})}
	s := &Server{addr: cfg.Addr, log: deps.Log, failed: make(chan error, 1), conns: conns, http: &http.Server{
		Handler:           newHandler(cfg, deps, conns, stopping),
		ConnContext:       conns.Context,
		ConnState:         unused.track,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(deps.Log.Handler(), slog.LevelWarn),
	}}
	s.http.RegisterOnShutdown(func() {
		close(stopping)
		time.AfterFunc(unusedGrace, unused.close)
	})
	return s
}

// unusedGrace is how long a connection may take after Stop to send its first request.
const unusedGrace = 200 * time.Millisecond

// unusedConns are the connections that have sent nothing yet. Browsers and proxies open some
// in advance, and net/http waits up to 5 s for the request of each before it stops.
type unusedConns struct {
	mu  sync.Mutex
	all map[net.Conn]struct{}
}

// track is the ConnState of the HTTP server.
func (u *unusedConns) track(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state == http.StateNew {
		u.all[c] = struct{}{}
	} else {
		delete(u.all, c)
	}
}

func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.all {
		_ = c.Close()
	}
}

// Handler returns the whole API without a network, for tests.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Start listens, then serves in a goroutine until Stop; ctx limits only the start. The
// error names the fix; it matches syscall.EADDRINUSE when the port is in use.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.stopped {
		return errors.New("HTTP server already started")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("cannot serve HTTP: %w%s", err, listenFix(err))
	}
	s.listener, s.served = listener, make(chan struct{})
	go s.serve(s.conns.Listener(listener), s.served)
	return nil
}

func (s *Server) serve(listener net.Listener, served chan<- struct{}) {
	defer close(served)
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("http server failed", slog.Any("error", err))
		s.failed <- fmt.Errorf("serve HTTP: %w", err)
	}
}

// Failed receives the error if the listener fails before Stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Addr returns the address of the listener, with the port that the system chose if
// the configured one is 0; "" before Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Stop stops listening and waits for open requests until ctx is done, at most 5 s;
// then it closes their connections and returns an error. It may be called again, and
// before Start.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}

func (s *Server) stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	served := s.served
	s.mu.Unlock()
	if served == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("open HTTP requests were cut off: %w", errors.Join(err, s.http.Close()))
	}
	<-served
	return err
}

// listenFix is how to fix a failed listen, or "".
func listenFix(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return ": stop the program that uses this port, or set another one (HTTP_ADDR)"
	case errors.Is(err, syscall.EACCES):
		return ": ports below 1024 require privileges; set a higher one (HTTP_ADDR)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ": this machine does not have that address; set one that it has, such as 127.0.0.1 (HTTP_ADDR)"
	}
	return ""
}
