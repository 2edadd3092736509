package rest_test

import (
	"time"

	"service-courier/internal/transport/rest"
)

func (f *fake) Samples() []rest.HealthSample { return f.samples }

func historyExchanges() []exchange {
	const line = "GET /api/v1/health/history"
	lag, p50, p99 := int64(4), 0.002, 0.03
	return []exchange{
		{
			name: "health history", line: line, status: 200, is: jsonType, fake: fake{samples: []rest.HealthSample{
				{At: time.Unix(0, 0).UTC()},
				{At: time.Unix(5, 0).UTC(), Events: 20.5, Assignments: 3, Lag: &lag, WaitingOrders: 7, FetchP50: &p50, FetchP99: &p99, CommitP50: &p50, CommitP99: &p99},
			}},
			want: `{"samples":[{"at":"1970-01-01T00:00:00Z","events_per_second":0,"assignments_per_second":0,"lag":null,"waiting_orders":0,` +
				`"fetch_p50_seconds":null,"fetch_p99_seconds":null,"commit_p50_seconds":null,"commit_p99_seconds":null},` +
				`{"at":"1970-01-01T00:00:05Z","events_per_second":20.5,"assignments_per_second":3,"lag":4,"waiting_orders":7,` +
				`"fetch_p50_seconds":0.002,"fetch_p99_seconds":0.03,"commit_p50_seconds":0.002,"commit_p99_seconds":0.03}]}`,
		},
		{name: "health history just after the start", line: line, status: 200, is: jsonType, want: `{"samples":[]}`},
		{
			name: "health history: no parameters", line: line + "?since=1", status: 422, is: problemType,
			want: invalid(`{"location":"query.since","message":"unknown query parameter"}`),
		},
	}
}
