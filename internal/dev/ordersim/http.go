package ordersim

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// The errors of requests, besides ErrNotFound.
var (
	errUnauthorized = errors.New("X-User-ID is missing: send it, or X-Bypass-Auth: true")
	errBadRequest   = errors.New("bad request")
	errNotLocal     = errors.New("only clients of the same machine may control the simulator")
)

// routes is the API of service-order. Other paths get the plain 404 and 405 of the
// standard mux, as in the original.
func (s *Sim) routes() http.Handler {
	const base = "/public/api/v1"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"/order/{id}", s.answer(s.getOrder))
	mux.HandleFunc("GET "+base+"/order/{id}/status", s.answer(s.getStatus))
	mux.HandleFunc("GET "+base+"/orders", s.listOrders)
	mux.HandleFunc("POST "+base+"/order", s.answer(withUser(s.postOrder)))
	mux.HandleFunc("PUT "+base+"/order/{id}", s.answer(withUser(s.putOrder)))
	mux.HandleFunc("DELETE "+base+"/order/{id}", s.answer(withUser(s.deleteOrder)))
	mux.HandleFunc("POST "+base+"/debug/seed", s.answer(withUser(s.postSeed)))
	all := http.NewServeMux()
	all.Handle("/", s.withFaults(mux))
	all.Handle(ControlPath+"/", s.control())
	return s.ownName(all)
}

// ownName refuses requests under another host name, and writes from pages of another
// origin: X-Bypass-Auth stands for a user.
func (s *Sim) ownName(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.hostAllowed(r.Host):
			s.write(w, http.StatusMisdirectedRequest, problem{"misdirected_request", "use localhost, an IP address or a name of HTTP_ALLOWED_HOSTS"})
		case protection.Check(r) != nil:
			s.write(w, http.StatusForbidden, problem{"cross_origin", "pages of another origin cannot change anything"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hostAllowed reports whether a Host header is localhost, an IP address or a known name.
func (s *Sim) hostAllowed(host string) bool {
	name := hostName(host)
	_, err := netip.ParseAddr(name)
	return err == nil || slices.ContainsFunc(append([]string{"localhost", s.cfg.Addr}, s.cfg.AllowedHosts...), func(known string) bool {
		return name != "" && hostName(known) == name
	})
}

// hostName returns host in lower case, without port, brackets and final dot.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// handler handles a request and returns the status and body of a success.
type handler func(r *http.Request) (status int, body any, err error)

// answer writes the outcome of a handler.
func (s *Sim) answer(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := h(r)
		if err != nil {
			s.fail(w, err)
			return
		}
		s.write(w, status, body)
	}
}

// problem is the body of an error.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (s *Sim) fail(w http.ResponseWriter, err error) {
	status, code := classify(err)
	message := err.Error()
	if status == http.StatusInternalServerError {
		s.log.Error("request failed", slog.Any("error", err))
		message = "internal error"
	}
	s.write(w, status, problem{Code: code, Message: message})
}

// classify maps errors to HTTP.
func classify(err error) (status int, code string) {
	switch {
	case errors.Is(err, errUnauthorized):
		return http.StatusUnauthorized, "unauthorized"
	case errors.Is(err, errNotLocal):
		return http.StatusForbidden, "forbidden"
	case errors.Is(err, errBadRequest):
		return http.StatusBadRequest, "bad_request"
	case errors.Is(err, errNotPublished):
		return http.StatusServiceUnavailable, "not_published"
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound, "not_found"
	default:
		return http.StatusInternalServerError, "internal"
	}
}

func (s *Sim) write(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		s.log.Error("response not encoded", slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // fails only if the client has disconnected
}

// withUser returns a handler that refuses requests without a user.
func withUser(h func(r *http.Request, userID string) (int, any, error)) handler {
	return func(r *http.Request) (int, any, error) {
		userID := user(r)
		if userID == "" {
			return 0, nil, errUnauthorized
		}
		return h(r, userID)
	}
}

// user returns the user of the request, empty if not given.
func user(r *http.Request) string {
	if r.Header.Get("X-Bypass-Auth") == "true" {
		return defaultUser
	}
	return r.Header.Get("X-User-ID")
}

func (s *Sim) getOrder(r *http.Request) (int, any, error) {
	rec, err := s.visible(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, rec.Order, nil
}

func (s *Sim) getStatus(r *http.Request) (int, any, error) {
	rec, err := s.visible(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, struct {
		OrderID string `json:"order_id"`
		Status  string `json:"status"`
	}{rec.ID, rec.Status}, nil
}

// visible returns the order of a request without a user, or of its owner.
func (s *Sim) visible(r *http.Request) (*record, error) {
	rec := s.store.get(r.PathValue("id"))
	if rec == nil {
		return nil, ErrNotFound
	}
	return rec, checkAccess(rec, cmp.Or(user(r), rec.UserID))
}

// listOrders streams all orders since a time, of all users and without paging.
func (s *Sim) listOrders(w http.ResponseWriter, r *http.Request) {
	var from time.Time
	if text := r.URL.Query().Get("from"); text != "" {
		var err error
		if from, err = time.Parse(time.RFC3339, text); err != nil {
			s.fail(w, fmt.Errorf("%w: from=%q is not an RFC 3339 time, such as 2025-08-06T12:00:00Z", errBadRequest, text))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 32<<10)
	defer func() { _ = out.Flush() }()
	separator := byte('[')
	for _, rec := range s.store.since(from) {
		data, err := json.Marshal(rec.Order)
		if err != nil {
			return
		}
		_ = out.WriteByte(separator)
		if _, err := out.Write(data); err != nil {
			return // the client has disconnected
		}
		separator = ','
	}
	if separator == '[' {
		_ = out.WriteByte(separator)
	}
	_, _ = out.WriteString("]\n")
}

// draft is the body of POST and PUT; missing fields are nil.
type draft struct {
	OrderNumber  *string  `json:"order_number"`
	FIO          *string  `json:"fio"`
	RestaurantID *string  `json:"restaurant_id"`
	Items        []Item   `json:"items"`
	TotalPrice   *int64   `json:"total_price"`
	Address      *Address `json:"address"`
}

func (s *Sim) postOrder(r *http.Request, userID string) (int, any, error) {
	d, err := readDraft(r)
	if err != nil {
		return 0, nil, err
	}
	if missing := d.missing(); len(missing) > 0 {
		return 0, nil, fmt.Errorf("%w: missing %s", errBadRequest, strings.Join(missing, ", "))
	}
	rec := s.sampleOrder(userID, StatusCreated)
	rec.FIO = ""
	d.apply(&rec.Order)
	if err := s.add(rec); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, rec.Order, nil
}

// putOrder changes the given fields. The status becomes updated and has no timer.
func (s *Sim) putOrder(r *http.Request, userID string) (int, any, error) {
	d, err := readDraft(r)
	if err != nil {
		return 0, nil, err
	}
	d.RestaurantID, d.OrderNumber = nil, nil // PUT does not change these
	rec, err := s.change(r.PathValue("id"), func(cur, next *record) error {
		if err := checkAccess(cur, userID); err != nil {
			return err
		}
		d.apply(&next.Order)
		next.Status = StatusUpdated
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, rec.Order, nil
}

func (s *Sim) deleteOrder(r *http.Request, userID string) (int, any, error) {
	rec, err := s.change(r.PathValue("id"), func(cur, next *record) error { return remove(cur, next, userID) })
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}{rec.ID, rec.Status}, nil
}

func (s *Sim) postSeed(_ *http.Request, userID string) (int, any, error) {
	orders, err := s.seedOrders(userID)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, orders, nil
}

// remove deletes an order for its owner.
func remove(cur, next *record, userID string) error {
	if err := checkAccess(cur, userID); err != nil {
		return err
	}
	next.Status = StatusDeleted
	return nil
}

// checkAccess returns ErrNotFound for a deleted order, and bad request, not forbidden,
// for another user, as the original does.
func checkAccess(rec *record, userID string) error {
	if rec.Status == StatusDeleted {
		return ErrNotFound
	}
	if rec.UserID != userID {
		return fmt.Errorf("%w: the order belongs to another user", errBadRequest)
	}
	return nil
}

func readDraft(r *http.Request) (draft, error) {
	var d draft
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		return draft{}, fmt.Errorf("%w: the body is not a JSON order: %w", errBadRequest, err)
	}
	return d, nil
}

// missing returns the names of missing fields.
func (d draft) missing() []string {
	var names []string
	if d.RestaurantID == nil || *d.RestaurantID == "" {
		names = append(names, "restaurant_id")
	}
	if len(d.Items) == 0 {
		names = append(names, "items (at least one)")
	}
	if d.TotalPrice == nil || *d.TotalPrice <= 0 {
		names = append(names, "total_price (above 0)")
	}
	if d.Address == nil || *d.Address == (Address{}) {
		names = append(names, "address")
	}
	return names
}

// apply sets the given fields.
func (d draft) apply(o *Order) {
	set(&o.OrderNumber, d.OrderNumber)
	set(&o.FIO, d.FIO)
	set(&o.RestaurantID, d.RestaurantID)
	set(&o.TotalPrice, d.TotalPrice)
	set(&o.Address, d.Address)
	if len(d.Items) > 0 {
		o.Items = d.Items
	}
}

func set[T any](to *T, sent *T) {
	if sent != nil {
		*to = *sent
	}
}
