package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// History has the figures of this replica over the last minutes.
type History interface {
	// Samples returns a bounded number of samples, oldest first.
	Samples() []HealthSample
}

// HealthSample has the figures of the seconds before its time.
type HealthSample struct {
	At            time.Time `json:"at" doc:"end of the interval, which begins with the sample before"`
	Events        float64   `json:"events_per_second" minimum:"0" doc:"records that this replica saved"`
	Assignments   float64   `json:"assignments_per_second" minimum:"0" doc:"by this replica"`
	Lag           *int64    `json:"lag" doc:"records that this replica has yet to save in its partitions; null while it reads none"`
	WaitingOrders int       `json:"waiting_orders" minimum:"0" doc:"of all replicas, the missing ones included"`
	FetchP50      *float64  `json:"fetch_p50_seconds" doc:"median time of a fetch from service-order; null without one in the interval, as the following"`
	FetchP99      *float64  `json:"fetch_p99_seconds"`
	CommitP50     *float64  `json:"commit_p50_seconds" doc:"median time to write and commit a batch"`
	CommitP99     *float64  `json:"commit_p99_seconds"`
}

type historyBody struct {
	Samples []HealthSample `json:"samples" nullable:"false" maxItems:"180" doc:"oldest first"`
}

func (a *api) registerHistory(history History) {
	register(a, read, huma.Operation{
		OperationID: "get-health-history", Method: http.MethodGet, Path: versioned + "/health/history", Tags: []string{"health"},
		Summary: "Show the figures of the last 15 minutes",
		Description: "A sample every 5 seconds of the replica that answers, kept in its memory: none just after its start. " +
			"Percentiles are estimated from the histograms of /metrics, at most 5 s.",
	}, func(context.Context, *struct{}) (*output[historyBody], error) {
		samples := history.Samples()
		if samples == nil {
			samples = []HealthSample{} // never null
		}
		return respond(historyBody{samples}, nil)
	})
}
