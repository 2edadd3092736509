package rest

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// readinessTimeout bounds a check: less than the timeout of a probe.
const readinessTimeout = 2 * time.Second

// Readiness checks the components of the service.
type Readiness interface {
	// Check returns every component, always in the same order, by the end of ctx. A
	// component that cannot be reached by then is not OK.
	Check(ctx context.Context) []Component
}

// The components, as /readyz names them.
const (
	ComponentPostgreSQL    = "postgresql"
	ComponentSchema        = "schema"
	ComponentConsumerGroup = "consumer_group"
	ComponentOrderService  = "order_service"
)

// Component is the state of one component.
type Component struct {
	Name     string // one of the Component constants
	OK       bool
	Optional bool   // the service is ready without it
	Detail   string // a few words; public, so without secrets

	Fix       string // which Detail ends with; "": none is known
	DependsOn string // a failing component, without which this one is not known; or ""
}

type readinessAPI struct{ components shared[[]Component] }

func newReadinessAPI(readiness Readiness) *readinessAPI {
	check := func(ctx context.Context) ([]Component, error) { return readiness.Check(ctx), nil }
	return &readinessAPI{shared[[]Component]{compute: check, timeout: readinessTimeout}}
}

func (a *api) registerHealth(readiness Readiness) {
	health := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{"health"}, Summary: summary}
	}
	register(a, public, health("ping", http.MethodGet, "/ping", "Respond pong"), func(context.Context, *struct{}) (*output[pingBody], error) {
		return respond(pingBody{"pong"}, nil)
	})
	healthcheck := health("healthcheck", http.MethodHead, "/healthcheck", "Respond 204 while the process serves requests")
	healthcheck.DefaultStatus = http.StatusNoContent
	register(a, public, healthcheck, func(context.Context, *struct{}) (*struct{}, error) { return &struct{}{}, nil })
	register(a, public, health("livez", http.MethodGet, "/livez", "Respond 200 while the process serves requests"),
		func(context.Context, *struct{}) (*output[livenessBody], error) {
			return respond(livenessBody{"ok"}, nil)
		})
	readyz := health("readyz", http.MethodGet, "/readyz", "Check every component of the service")
	readyz.Description = "200 when every required component is ok, else 503 with a body of the same shape. order_service is not required: consumption pauses without it. Requests of the same second get the same answer."
	register(a, public, readyz, newReadinessAPI(readiness).readyz)
	a.OpenAPI().Paths["/readyz"].Get.Responses["503"] = &huma.Response{
		Description: "A required component is failing",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[readinessBody](), true, ""),
		}},
	}
}

type pingBody struct {
	Message string `json:"message" example:"pong"`
}

type livenessBody struct {
	Status string `json:"status" enum:"ok"`
}

type componentBody struct {
	Name     string `json:"name" example:"postgresql"`
	Status   string `json:"status" enum:"ok,failing"`
	Required bool   `json:"required" doc:"whether the service is unready without it"`
	Detail   string `json:"detail"`

	Fix       string `json:"fix,omitempty" doc:"what to do, which detail ends with; absent if it is not known"`
	DependsOn string `json:"depends_on,omitempty" doc:"a failing component, without which the state of this one is not known"`
}

type readinessBody struct {
	Status     string          `json:"status" enum:"ready,not_ready"`
	Components []componentBody `json:"components" nullable:"false"`
}

type readinessOutput struct {
	Status int
	Body   readinessBody
}

func (r *readinessAPI) readyz(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
	components, err := r.components.get(ctx)
	if err != nil {
		return nil, err
	}
	out := &readinessOutput{http.StatusOK, readinessBody{"ready", make([]componentBody, len(components))}}
	for i, c := range components {
		out.Body.Components[i] = componentBody{c.Name, "ok", !c.Optional, c.Detail, c.Fix, c.DependsOn}
		if c.OK {
			continue
		}
		out.Body.Components[i].Status = "failing"
		if !c.Optional {
			out.Status, out.Body.Status = http.StatusServiceUnavailable, "not_ready"
		}
	}
	return out, nil
}
