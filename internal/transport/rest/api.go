package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// description opens the OpenAPI document.
const description = `Couriers and the orders they deliver.

Every error is a problem (RFC 9457, ` + "`application/problem+json`" + `). 400 is a body that cannot be parsed, ` +
	`422 one that can and says something unacceptable; ` + "`errors`" + ` then names every place. ` +
	`Unknown fields are refused. Every answer carries ` + "`X-Request-ID`" + `, the caller's own if it sent a sane one.`

// api is what the handlers share.
type api struct {
	huma.API
	log *slog.Logger
}

// newHandler builds the whole API with what surrounds it; doc.go has the order.
func newHandler(cfg Config, deps Dependencies) http.Handler {
	mux := http.NewServeMux()
	a := &api{humago.New(mux, humaConfig()), deps.Log}
	a.registerHealth(deps.Readiness)
	a.registerCouriers(deps.Couriers)
	a.registerDeliveries(deps.Deliveries)
	if deps.Metrics != nil {
		mux.Handle("GET /metrics", deps.Metrics)
		a.documentMetrics()
	}
	mux.Handle("GET /openapi.json", openAPIHandler(a.OpenAPI())) // last: it describes all the others

	h := deadlined(cfg.RequestTimeout, mux)
	h = bounded(maxBodyBytes, h)
	h = &routes{mux: mux, next: h}
	h = recovered(deps.Log, h)
	h = logged(deps.Log, h)
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
	cfg.Transformers = []huma.Transformer{discreet}
	return cfg
}

// register adds an operation whose handler answers with an output or an error
// that the table of problem.go knows. op.Errors lists the statuses of that
// table the operation can end in; 422 and 500 are added by huma.
func register[I, O any](a *api, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.MaxBodyBytes = maxBodyBytes + 1 // huma refuses what is as long as its limit; bounded has the say
	op.BodyReadTimeout = -1            // bounded has read the body
	op.Responses = make(map[string]*huma.Response)
	huma.Register(a.API, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.refuse(ctx, op.OperationID, err)
		}
		return out, nil
	})
	if r := op.Responses["503"]; r != nil { // huma.Register has filled it by now
		r.Headers = map[string]*huma.Header{"Retry-After": {
			Description: "Seconds to wait before asking again", Schema: &huma.Schema{Type: huma.TypeInteger},
		}}
	}
}

func (a *api) documentMetrics() {
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Tags: []string{"health"},
		Summary: "Metrics in the Prometheus text format",
		Responses: map[string]*huma.Response{"200": {
			Description: "OK",
			Content:     map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	})
}

// openAPIHandler serves doc as it is now.
func openAPIHandler(doc *huma.OpenAPI) http.Handler {
	// Values are not echoed in problems (discreet), so they are not described.
	delete(doc.Components.Schemas.Map()["ErrorDetail"].Properties, "value")
	body, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Errorf("OpenAPI document: %w", err)) // built from constants: every test would meet it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(body) // the client has gone: nobody to tell
	})
}
