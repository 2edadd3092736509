package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// description opens the OpenAPI document.
const description = `Couriers and the orders they deliver.

Every error is a problem (RFC 9457, ` + "`application/problem+json`" + `) with a stable ` + "`code`" + `; its ` + "`type`" + ` is the page that explains it. ` +
	`400 is a body that cannot be parsed, 422 one that can and says something unacceptable; ` + "`errors`" + ` then names every place. ` +
	`Unknown fields are refused, and query parameters that come twice; null is as if an optional field were left out. Every answer carries ` + "`X-Request-ID`" + `, the caller's own if it sent a sane one. ` +
	`Times are RFC 3339 in UTC. Lists are answered in pages: ` + "`next_cursor`" + ` of one asks for the next.`

// api is what the handlers share.
type api struct {
	huma.API
	log    *slog.Logger
	mux    *http.ServeMux
	routes map[string]route // by the mux's pattern
}

// route is what is around a handler, beside the handler itself.
type route struct {
	role    role
	endless bool // it has no deadline: it ends when the client leaves, or the server
}

// newHandler builds the whole API with what surrounds it; doc.go has the order.
func newHandler(cfg Config, deps Dependencies, stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	a := &api{humago.New(mux, humaConfig()), deps.Log, mux, make(map[string]route)}
	a.registerHealth(deps.Readiness)
	a.registerCouriers(deps.Couriers)
	a.registerFleet(deps.Couriers)
	a.registerDeliveries(deps.Deliveries)
	a.registerOrders(deps.Orders)
	a.registerStatistics(deps.Statistics)
	if deps.Stream != nil {
		a.registerStream(deps.Stream, deps.Callers, stopping)
	}
	a.registerConsumer(deps.Consumption)
	a.registerDeadLetters(deps.DeadLetters)
	if deps.Metrics != nil {
		a.handle("/metrics", route{role: read}, deps.Metrics)
		a.documentMetrics()
	}
	a.registerPages()
	a.handle("/openapi.json", route{role: public}, openAPIHandler(a.OpenAPI())) // last: it describes all the others

	h := a.deadlined(cfg.RequestTimeout, mux)
	h = bounded(maxBodyBytes, h)
	h = a.authorised(deps.Callers, h)
	h = &router{mux: mux, next: h}
	h = sameOrigin(h)
	if cfg.OwnName {
		h = ownName(h)
	}
	h = limited(cfg.RateLimit, h)
	h = recovered(deps.Log, h)
	h = logged(deps.Log, h)
	h = a.measured(deps.Requests, h)
	if deps.Trace != nil {
		h = deps.Trace(h)
	}
	return identified(h)
}

// humaConfig is huma's default without what loads from elsewhere (/docs), what
// puts $schema into bodies (CreateHooks), and its own document route, which
// renders at the first request without a lock.
func humaConfig() huma.Config {
	cfg := huma.DefaultConfig("service-courier", "1.0.0")
	cfg.Info.Description = description
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil
	cfg.Formats = formats()
	cfg.Transformers = nil
	cfg.Components.SecuritySchemes = securitySchemes()
	return cfg
}

// handle adds a GET that huma has no part in; the document does not have it
// unless it is added there.
func (a *api) handle(path string, r route, h http.Handler) {
	a.routes["GET "+path] = r
	a.mux.Handle("GET "+path, h)
}

// register adds an operation for callers of the role. Its handler answers with an
// output or an error that the table of problems.go knows. op.Errors lists those
// statuses only that the use case can end in (404, 409, 503 …): what may happen to
// any request of its kind is added here.
func register[I, O any](a *api, role role, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBodyBytes + 1 // huma refuses what is as long as its limit; bounded has the say
	op.BodyReadTimeout = -1            // bounded has read the body
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

func documentRetries(responses map[string]*huma.Response) {
	for _, status := range []string{"429", "503"} {
		if r := responses[status]; r != nil {
			r.Headers = map[string]*huma.Header{"Retry-After": {
				Description: "Seconds to wait before asking again", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		}
	}
}

// versioned is the path that everything beyond the course's routes is under.
const versioned = "/api/v1"

// commonErrors lists the statuses that the kind of a request alone may end in.
func commonErrors(role role, method string) []int {
	all := []int{http.StatusMisdirectedRequest, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	if role != public {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden)
	}
	if hasBody(method) {
		all = append(all, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	return all
}

// refuse logs what the operator has to know of err and returns what the caller
// gets to know.
func (a *api) refuse(ctx context.Context, operation string, err error) *Problem {
	p := problemOf(err)
	p.RequestID = requestID(ctx)
	attrs := []slog.Attr{
		slog.String("request_id", p.RequestID), slog.String("operation", operation), slog.Any("error", err),
	}
	switch {
	case p.Status == http.StatusInternalServerError:
		a.log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	case p.Status == http.StatusServiceUnavailable && !errors.Is(err, context.Canceled): // nothing is wrong when the caller leaves
		a.log.LogAttrs(ctx, slog.LevelWarn, "request cannot be served now", attrs...)
	}
	return p
}

func (a *api) documentMetrics() {
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Tags: []string{"health"},
		Summary: "Metrics in the Prometheus text format", Security: security(read),
		Responses: a.unregistered("text/plain", "OK"),
	})
}

// unregistered are the answers of a GET that huma has no part in: text, or a refusal
// by what is around every handler, or one of those given.
func (a *api) unregistered(media, description string, errs ...int) map[string]*huma.Response {
	responses := map[string]*huma.Response{"200": {
		Description: description, Content: map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	around := []int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusInternalServerError,
	}
	for _, status := range append(around, errs...) {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, ""),
			}},
		}
	}
	documentRetries(responses)
	return responses
}
