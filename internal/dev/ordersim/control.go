package ordersim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ControlPath is the root of the control API, which the original does not have. It
// answers only clients of the same machine.
const ControlPath = "/control/v1"

// maxCreated bounds the orders of one request.
const maxCreated = 10_000

// Faults are what the simulator does wrong. The zero value is none.
type Faults struct {
	Fail      time.Duration // answer every request with an error for this time
	Delay     time.Duration // before every answer
	Lose      float64       // share of the events that are never published, 0 to 1
	Duplicate float64       // share of the events published twice, 0 to 1
	Shuffle   time.Duration // delay every event by a random time up to this
}

// faults are the Faults in force and when the failing ends.
type faults struct {
	mu      sync.RWMutex
	now     Faults
	failing time.Time
}

func (f *faults) set(to Faults) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.failing = to, time.Now().Add(to.Fail)
}

func (f *faults) get() Faults {
	f.mu.RLock()
	defer f.mu.RUnlock()
	now := f.now
	now.Fail = max(0, time.Until(f.failing))
	return now
}

var errFailing = errors.New("failing as requested")

// delayOrFail waits for the delay and returns errFailing while requests fail.
func (f *faults) delayOrFail(ctx context.Context) error {
	now := f.get()
	if now.Delay > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(now.Delay):
		}
	}
	if now.Fail > 0 {
		return errFailing
	}
	return nil
}

// SetFaults replaces all faults. Failing requests succeed again by themselves.
func (s *Sim) SetFaults(f Faults) { s.faults.set(f) }

// Faults returns the faults in force; Fail is the time that is left.
func (s *Sim) Faults() Faults { return s.faults.get() }

// withFaults applies the faults to the routes of the original.
func (s *Sim) withFaults(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.faults.delayOrFail(r.Context()); err != nil {
			s.write(w, http.StatusInternalServerError, problem{"internal", err.Error()})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// interceptFaults applies the faults to gRPC calls.
func (s *Sim) interceptFaults(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := s.faults.delayOrFail(ctx); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return next(ctx, in)
}

// control returns the handler of the control API.
func (s *Sim) control() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, h handler) { mux.HandleFunc(pattern, s.answer(localOnly(h))) }
	route("GET "+ControlPath+"/orders", s.controlList)
	route("POST "+ControlPath+"/orders", s.controlCreate)
	route("POST "+ControlPath+"/orders/{id}/status", s.controlStatus)
	route("DELETE "+ControlPath+"/orders/{id}", s.controlDelete)
	route("POST "+ControlPath+"/forget", s.controlForget)
	route("GET "+ControlPath+"/faults", s.controlShow)
	route("POST "+ControlPath+"/faults", s.controlFaults)
	route("POST "+ControlPath+"/events", s.controlPublish)
	route("POST "+ControlPath+"/replay", s.controlReplay)
	return mux
}

// localOnly refuses clients of other machines: the control API has no authentication.
func localOnly(h handler) handler {
	return func(r *http.Request) (int, any, error) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Unmap().IsLoopback() {
			return 0, nil, errNotLocal
		}
		return h(r)
	}
}

type affected struct {
	IDs []string `json:"order_ids"`
}

// published is how many records Kafka has saved.
type published struct {
	Records int `json:"records"`
}

func (s *Sim) controlCreate(r *http.Request) (int, any, error) {
	count, err := numberOf(r, "count", 1, maxCreated)
	if err != nil {
		return 0, nil, err
	}
	created := affected{IDs: make([]string, 0, count)}
	for range count {
		o, err := s.Create()
		if err != nil {
			return 0, nil, err
		}
		created.IDs = append(created.IDs, o.ID)
	}
	return http.StatusCreated, created, nil
}

func (s *Sim) controlStatus(r *http.Request) (int, any, error) {
	to := r.URL.Query().Get("status")
	if to == "" {
		return 0, nil, fmt.Errorf("%w: status is missing, such as ?status=completed", errBadRequest)
	}
	return http.StatusOK, affected{[]string{r.PathValue("id")}}, s.SetStatus(r.PathValue("id"), to)
}

func (s *Sim) controlDelete(r *http.Request) (int, any, error) {
	return http.StatusOK, affected{[]string{r.PathValue("id")}}, s.Delete(r.PathValue("id"))
}

func (s *Sim) controlForget(*http.Request) (int, any, error) {
	return http.StatusOK, affected{IDs: []string{}}, s.Forget()
}

// faultsBody is Faults in JSON, with durations as text such as 10s.
type faultsBody struct {
	Fail      string  `json:"fail"`
	Delay     string  `json:"delay"`
	Lose      float64 `json:"lose"`
	Duplicate float64 `json:"duplicate"`
	Shuffle   string  `json:"shuffle"`
}

func (s *Sim) controlShow(*http.Request) (int, any, error) {
	f := s.Faults()
	return http.StatusOK, faultsBody{
		f.Fail.Round(time.Second).String(), f.Delay.String(), f.Lose, f.Duplicate, f.Shuffle.String(),
	}, nil
}

// controlFaults replaces all faults by those of the query; an empty query ends them.
func (s *Sim) controlFaults(r *http.Request) (int, any, error) {
	f, err := parseFaults(r.URL.Query())
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	s.SetFaults(f)
	return s.controlShow(r)
}

func parseFaults(query url.Values) (f Faults, err error) {
	var errs []error
	for name, values := range query {
		text := values[0]
		switch name {
		case "fail", "delay", "shuffle":
			d, err := time.ParseDuration(text)
			if err != nil || d < 0 {
				errs = append(errs, fmt.Errorf("%s=%q: want a duration such as 10s", name, text))
			}
			*map[string]*time.Duration{"fail": &f.Fail, "delay": &f.Delay, "shuffle": &f.Shuffle}[name] = d
		case "lose", "duplicate":
			share, err := strconv.ParseFloat(text, 64)
			if err != nil || !isShare(share) {
				errs = append(errs, fmt.Errorf("%s=%q: want a share from 0 to 1", name, text))
			}
			*map[string]*float64{"lose": &f.Lose, "duplicate": &f.Duplicate}[name] = share
		default:
			errs = append(errs, fmt.Errorf("%s: want fail, delay, lose, duplicate or shuffle", name))
		}
	}
	return f, errors.Join(errs...)
}

// controlPublish publishes an event of any order and status, or the body as it is, and
// waits until Kafka has saved it.
func (s *Sim) controlPublish(r *http.Request) (int, any, error) {
	value, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if id, to := r.URL.Query().Get("order_id"), r.URL.Query().Get("status"); id != "" || to != "" {
		e := newEvent(id, to)
		s.outbox.recent.add(e)
		if value, err = json.Marshal(e); err != nil {
			return 0, nil, err
		}
	}
	n, err := s.outbox.deliver(r.Context(), value)
	return http.StatusOK, published{n}, err
}
