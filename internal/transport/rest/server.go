package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// The server's bounds. A handler gets Config.RequestTimeout, which must fit
// into writeTimeout.
const (
	readHeaderTimeout     = 5 * time.Second
	readTimeout           = 10 * time.Second
	writeTimeout          = 30 * time.Second
	idleTimeout           = 2 * time.Minute
	stopTimeout           = 5 * time.Second
	defaultRequestTimeout = 5 * time.Second
	maxHeaderBytes        = 16 << 10
	maxBodyBytes          = 64 << 10
)

// Config says where to listen and what a request may take.
type Config struct {
	Addr           string        // host:port; port 0 lets the system choose
	OwnName        bool          // refuse requests whose Host is not loopback's, for an API on loopback without tokens
	RateLimit      int           // requests a second of one address; 0: any number
	RequestTimeout time.Duration // 5 s when zero
}

// Dependencies are what the API serves. Metrics and Stream may be nil: there is no
// such route then. Requests may be nil: nobody is told of them. Callers may be nil: nobody is asked who he is. Everything else
// is needed.
type Dependencies struct {
	Callers     Callers
	Couriers    Couriers
	Deliveries  Deliveries
	Orders      Orders
	Statistics  Statistics
	Readiness   Readiness
	Metrics     http.Handler
	Stream      Stream
	Requests    RequestObserver
	Trace       func(http.Handler) http.Handler // goes around every request; nil: nothing does
	Log         *slog.Logger
	Consumption Consumption
	DeadLetters DeadLetters
}

// Server is the HTTP server: New, Start, Stop; it is not started again.
type Server struct {
	addr string
	log  *slog.Logger
	http *http.Server
	once sync.Once // stops
	err  error     // of stopping

	mu       sync.Mutex
	listener net.Listener
	served   chan struct{} // closed when serving has ended
	stopped  bool
}

// New returns a server that is not listening yet.
func New(cfg Config, deps Dependencies) *Server {
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = defaultRequestTimeout
	}
	stopping := make(chan struct{})
	s := &Server{addr: cfg.Addr, log: deps.Log, http: &http.Server{
		Handler:           newHandler(cfg, deps, stopping),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(deps.Log.Handler(), slog.LevelWarn),
	}}
	s.http.RegisterOnShutdown(func() { close(stopping) })
	return s
}

// Handler returns the whole API without a network, for tests.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Start listens, then serves in a goroutine of its own until Stop; ctx bounds
// only the start. The error
// says what is in the way and how to mend it; it matches syscall.EADDRINUSE
// when the port is taken.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.stopped {
		return errors.New("the HTTP server was started before")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("cannot serve HTTP: %w%s", err, hint(err))
	}
	s.listener, s.served = listener, make(chan struct{})
	go s.serve(listener, s.served)
	return nil
}

func (s *Server) serve(listener net.Listener, served chan<- struct{}) {
	defer close(served)
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("HTTP server ended", slog.Any("error", err))
	}
}

// Addr returns the address that is listened on, with the port that was chosen
// when the configured one is 0; "" before Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Stop ends listening and waits for the requests in hand until ctx is done, at
// most 5 s; then it cuts them off and says so. Calling it again, or before
// Start, does no harm.
func (s *Server) Stop(ctx context.Context) error {
	s.once.Do(func() { s.err = s.stop(ctx) })
	return s.err
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
		err = fmt.Errorf("HTTP requests were cut off: %w", errors.Join(err, s.http.Close()))
	}
	<-served
	return err
}

// hint says how to mend a failed listen; "" when nobody knows.
func hint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return ": stop the program that has this port, or choose another one (HTTP_ADDR)"
	case errors.Is(err, syscall.EACCES):
		return ": ports below 1024 need privileges, choose a higher one (HTTP_ADDR)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ": this machine does not have that address, choose one it has, such as 127.0.0.1 (HTTP_ADDR)"
	}
	return ""
}
