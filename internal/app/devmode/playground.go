package devmode

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"service-courier/internal/dev/devpostgres"
	"service-courier/internal/dev/ordersim"
)

// postgresOutage is how long the Playground stops PostgreSQL.
const postgresOutage = 5 * time.Second

// playground serves /dev/v1 to the page that causes faults and shows the recovery:
//
//	GET  /dev/v1/state              what is stopped, and the result of the last check
//	POST /dev/v1/postgresql/stop    stop PostgreSQL for five seconds
//	…    /dev/v1/order-service/…    the simulator's own control API
type playground struct {
	sim      *ordersim.Sim
	postgres *stoppable
	check    *checker

	ctx    context.Context //nolint:containedctx // of the work that outlives its request
	cancel context.CancelFunc
	work   sync.WaitGroup
}

func newPlayground(ctx context.Context, sim *ordersim.Sim, server *devpostgres.Server, databaseURL string) (*playground, error) {
	check, err := newChecker(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	p := &playground{sim: sim, postgres: &stoppable{server: server}, check: check}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return p, nil
}

// stop ends the work; PostgreSQL stays stopped if it is.
func (p *playground) stop(context.Context) error {
	p.cancel()
	p.work.Wait()
	p.check.pool.Close()
	return nil
}

func (p *playground) handler() http.Handler {
	const simulator = "/dev/v1/order-service"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dev/v1/state", p.showState)
	mux.HandleFunc("POST /dev/v1/postgresql/stop", p.stopPostgres)
	mux.HandleFunc(simulator+"/", func(w http.ResponseWriter, r *http.Request) {
		control := r.Clone(r.Context())
		control.URL.Path, control.URL.RawPath = ordersim.ControlPath+strings.TrimPrefix(r.URL.Path, simulator), ""
		p.sim.Handler().ServeHTTP(w, control)
	})
	return mux
}

// playgroundState is what the page polls.
type playgroundState struct {
	OrderService stoppedState `json:"order_service"`
	PostgreSQL   stoppedState `json:"postgresql"`
	Check        checkResult  `json:"check"`
}

type stoppedState struct {
	Stopped     bool    `json:"stopped"`
	SecondsLeft float64 `json:"seconds_left"`
	Error       string  `json:"error,omitempty"` // why it was not started again
}

func (p *playground) showState(w http.ResponseWriter, _ *http.Request) {
	failing := p.sim.Faults().Fail
	state := playgroundState{
		OrderService: stoppedState{Stopped: failing > 0, SecondsLeft: failing.Seconds()},
		PostgreSQL:   p.postgres.state(),
	}
	state.Check = p.check.latest(p, state.OrderService.Stopped || state.PostgreSQL.Stopped)
	writeJSON(w, http.StatusOK, state)
}

func (p *playground) stopPostgres(w http.ResponseWriter, _ *http.Request) {
	end, ok := p.postgres.begin()
	if !ok {
		writeJSON(w, http.StatusConflict, map[string]string{"code": "already_stopped", "detail": "PostgreSQL is already stopped; it starts again by itself"})
		return
	}
	p.work.Go(func() { end(p.ctx) })
	writeJSON(w, http.StatusAccepted, p.postgres.state())
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has disconnected
}

// stoppable is PostgreSQL, which may be stopped for a while.
type stoppable struct {
	server *devpostgres.Server

	mu    sync.Mutex
	until time.Time     // when it is started again
	over  chan struct{} // of the last outage, closed at its end; nil before the first
	err   error         // of the last start
}

// begin starts an outage, unless there is one. The caller runs end, which returns when
// PostgreSQL answers again or ctx has ended.
func (s *stoppable) begin() (end func(context.Context), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() {
		return nil, false
	}
	s.until, s.over, s.err = time.Now().Add(postgresOutage), make(chan struct{}), nil
	return s.outage, true
}

// stopped reports whether an outage has not ended. The caller holds mu.
func (s *stoppable) stopped() bool {
	if s.over == nil {
		return false
	}
	select {
	case <-s.over:
		return false
	default:
		return true
	}
}

// outage ends the server as a crash would, and starts it again.
func (s *stoppable) outage(ctx context.Context) {
	s.server.Kill() //nolint:contextcheck // a crash is not cancelled
	var err error
	select {
	case <-time.After(postgresOutage):
		err = s.server.Restart(ctx)
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	close(s.over)
}

func (s *stoppable) state() stoppedState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := stoppedState{Stopped: s.stopped()}
	if state.Stopped {
		state.SecondsLeft = max(0, time.Until(s.until).Seconds())
	}
	if s.err != nil {
		state.Error = s.err.Error()
	}
	return state
}

// returns reports whether a server that has ended runs again: it waits for the end of an
// outage that the Playground caused.
func (s *stoppable) returns(ctx context.Context) bool {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if over == nil {
		return false
	}
	select {
	case <-over:
	case <-ctx.Done():
		return false
	}
	select {
	case <-s.server.Done():
		return false
	default:
		return true
	}
}

// restartError is why the server did not start again, or nil.
func (s *stoppable) restartError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
	return errors.Join(errors.New("start PostgreSQL again after the Playground stopped it"), s.err)
}
