package rest

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// readinessTimeout bounds a look at the parts: less than what a probe waits.
const readinessTimeout = 2 * time.Second

// Readiness looks at the parts that the service needs.
type Readiness interface {
	// Check returns every part, always in the same order. It returns by the end
	// of ctx, with the parts it could not reach as not OK.
	Check(ctx context.Context) []PartStatus
}

// The parts, as /readyz names them.
const (
	PartPostgreSQL    = "postgresql"
	PartSchema        = "schema"
	PartConsumerGroup = "consumer_group"
	PartOrderService  = "order_service"
)

// PartStatus is how one part is.
type PartStatus struct {
	Name     string // one of the Part constants
	OK       bool
	Optional bool   // not OK does not make the service unready
	Detail   string // a few words; shown to anybody who asks, so no secrets
}

func (a *api) registerHealth(readiness Readiness) {
	register(a, public, huma.Operation{
		OperationID: "ping", Method: http.MethodGet, Path: "/ping", Tags: []string{"health"},
		Summary: "Answer pong",
	}, ping)
	register(a, public, huma.Operation{
		OperationID: "healthcheck", Method: http.MethodHead, Path: "/healthcheck", Tags: []string{"health"},
		Summary: "Answer 204 while the process serves", DefaultStatus: http.StatusNoContent,
	}, healthcheck)
	register(a, public, huma.Operation{
		OperationID: "livez", Method: http.MethodGet, Path: "/livez", Tags: []string{"health"},
		Summary: "Answer 200 while the process serves, whatever it lacks",
	}, livez)
	registerReadyz(a, healthAPI{readiness})
}

func registerReadyz(a *api, h healthAPI) {
	register(a, public, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: []string{"health"},
		Summary:     "Tell of every part that the service needs",
		Description: "200 when every required part is ok, else 503 with a body of the same shape. order_service is not required: without it the consumption pauses.",
	}, h.readyz)
	get := a.OpenAPI().Paths["/readyz"].Get
	get.Responses["503"] = &huma.Response{
		Description: "A required part is failing",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[readyBody](), true, ""),
		}},
	}
}

type pingOutput struct {
	Body struct {
		Message string `json:"message" example:"pong"`
	}
}

func ping(context.Context, *struct{}) (*pingOutput, error) {
	var out pingOutput
	out.Body.Message = "pong"
	return &out, nil
}

func healthcheck(context.Context, *struct{}) (*struct{}, error) { return &struct{}{}, nil }

type liveOutput struct {
	Body struct {
		Status string `json:"status" enum:"ok"`
	}
}

func livez(context.Context, *struct{}) (*liveOutput, error) {
	var out liveOutput
	out.Body.Status = "ok"
	return &out, nil
}

type partBody struct {
	Name     string `json:"name" example:"postgresql"`
	Status   string `json:"status" enum:"ok,failing"`
	Required bool   `json:"required" doc:"whether the service is unready without it"`
	Detail   string `json:"detail"`
}

type readyBody struct {
	Status string     `json:"status" enum:"ready,not_ready"`
	Parts  []partBody `json:"parts" nullable:"false"`
}

type readyOutput struct {
	Status int
	Body   readyBody
}

type healthAPI struct{ readiness Readiness }

func (h healthAPI) readyz(ctx context.Context, _ *struct{}) (*readyOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	parts := h.readiness.Check(ctx)
	out := &readyOutput{http.StatusOK, readyBody{"ready", make([]partBody, len(parts))}}
	for i, p := range parts {
		out.Body.Parts[i] = partBody{p.Name, "ok", !p.Optional, p.Detail}
		if p.OK {
			continue
		}
		out.Body.Parts[i].Status = "failing"
		if !p.Optional {
			out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
		}
	}
	return out, nil
}
