package rest

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"service-courier/internal/transport/connections"
)

// api is what the handlers share.
type api struct {
	huma.API
	log      *slog.Logger
	reported func(error) bool // as in Dependencies
	timeout  time.Duration    // of a request
	mux      *http.ServeMux
	routes   map[string]route // by pattern
	// What one caller may have open.
	requests, streams *shares
	refusals          *refusals
}

// route has what the surrounding handlers need to know.
type route struct {
	role    role
	endless bool // without a deadline: it ends with the client or the server
	form    bool // the body is that of an HTML form
}

// versioned is the prefix of everything beyond the course's routes.
const versioned = "/api/v1"

// newHandler builds the API and the handlers around it; doc.go lists them in order.
func newHandler(cfg Config, deps Dependencies, conns *connections.Limit, stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	a := &api{
		API: humago.New(mux, humaConfig()), log: deps.Log, reported: deps.Reported, timeout: cfg.RequestTimeout, mux: mux, routes: make(map[string]route),
		requests: newShares(math.MaxInt, conns.Requests()/4), streams: newShares(conns.Requests()*2/3, conns.Requests()/6),
		refusals: &refusals{log: deps.Log, observer: deps.Requests},
	}
	a.registerHealth(deps.Readiness)
	a.registerHistory(deps.History)
	a.registerCouriers(deps.Couriers)
	a.registerOrders(deps.Orders)
	a.registerStatistics(deps.Statistics)
	if deps.Stream != nil {
		a.registerStream(deps.Stream, deps.Callers, stopping)
	}
	a.registerConsumer(deps.Consumption)
	a.registerDeadLetters(deps.DeadLetters)
	a.registerRecords(deps.Records)
	if deps.Metrics != nil {
		a.handle("/metrics", route{role: read}, deps.Metrics)
		a.documentMetrics()
	}
	a.registerPages()
	a.registerSession(deps.Callers, deps.Records.Topics(), deps.Playground != nil)
	if deps.Playground != nil {
		a.registerPlayground(deps.Playground)
	}
	if deps.Web != nil {
		a.handle("/ui/", route{role: public}, deps.Web) // the pages hold no data: they call the API
		a.handle("/{$}", route{role: public}, http.RedirectHandler("/ui/", http.StatusFound))
	}
	if deps.Plain != nil {
		a.registerPlain(deps.Plain, deps.Callers)
	}
	if deps.AsyncAPI != nil {
		a.handle("/asyncapi.json", route{role: public}, asyncAPIHandler(deps.AsyncAPI))
	}
	a.handle("/openapi.json", route{role: public}, openAPIHandler(a.OpenAPI())) // last: it describes all others

	h := a.setDeadline(mux)
	h = a.boundBody(maxBodyBytes, h)
	h = a.authorize(deps.Callers, h)
	h = &router{mux: mux, next: h}
	h = a.refusals.sameOrigin(h)
	h = a.refusals.ownName(append(slices.Clone(cfg.AllowedHosts), cfg.Addr), h)
	h = limitRate(cfg.RateLimit, h)
	h = limitRequests(conns, h)
	h = recoverPanics(deps.Log, h)
	h = logRequests(deps.Log, h)
	h = a.measureRequests(deps.Requests, h)
	if deps.Trace != nil {
		h = deps.Trace(h)
	}
	return identifyRequests(h)
}

// handle adds a GET without huma; it is not in the OpenAPI document by itself.
func (a *api) handle(path string, r route, h http.Handler) {
	a.routes["GET "+path] = r
	if r.endless {
		h = endingHEAD(h)
	}
	a.mux.Handle("GET "+path, h)
}

// endingHEAD answers HEAD, which the mux routes to a GET, without the handler: it would
// never end, and the next request on its connection would wait for it.
func endingHEAD(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Type", eventStream)
			w.WriteHeader(http.StatusOK) // for the metric and the log; net/http would send it anyway
			return
		}
		next.ServeHTTP(w, r)
	})
}

// register adds an operation for callers with the role. Its handler returns an
// output or an error; problems.go maps errors to responses. op.Errors lists the
// statuses that the use case can cause; commonErrors are added.
func register[I, O any](a *api, role role, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBodyBytes + 1 // boundBody enforces the limit; huma refuses bodies of exactly its limit
	op.BodyReadTimeout = -1            // boundBody has read the body
	op.RejectUnknownQueryParameters = strings.HasPrefix(op.Path, versioned)
	op.Errors = slices.Concat(op.Errors, commonErrors(role, op.Method))
	op.Security = security(role)
	op.Middlewares = append(op.Middlewares, a.refuseQuery)
	op.Responses = make(map[string]*huma.Response)
	a.routes[op.Method+" "+op.Path] = route{role: role}
	huma.Register(a.API, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.refuse(ctx, op.OperationID, err)
		}
		return out, nil
	})
	documentRetries(op.Responses) // huma.Register has filled them
}

// commonErrors are the statuses that any request of its kind may end with.
func commonErrors(role role, method string) []int {
	all := []int{http.StatusBadRequest, http.StatusMisdirectedRequest, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	if role != public {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable)
	}
	if hasBody(method) {
		all = append(all, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return all
}

// refuse logs err if the operator should know, and returns the client's problem.
func (a *api) refuse(ctx context.Context, operation string, err error) *Problem {
	p := problemOf(err)
	p.RequestID = requestID(ctx)
	attrs := []slog.Attr{
		slog.String("request_id", p.RequestID), slog.String("operation", operation), slog.Any("error", err),
	}
	switch {
	case p.Status == http.StatusInternalServerError:
		a.log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	case p.Status == http.StatusServiceUnavailable && !errors.Is(err, context.Canceled): // a client that disconnects is no fault
		level := slog.LevelWarn
		if a.reported != nil && a.reported(err) {
			level = slog.LevelDebug // a page repeats its requests every second
		}
		a.log.LogAttrs(ctx, level, "request failed, dependency unavailable", attrs...)
	}
	return p
}

// input is a request that consists of its body.
type input[B any] struct{ Body B }

// output is a response that consists of its body.
type output[B any] struct{ Body B }

// respond returns err, or else a response with the body.
func respond[B any](body B, err error) (*output[B], error) {
	if err != nil {
		return nil, err
	}
	return &output[B]{body}, nil
}
