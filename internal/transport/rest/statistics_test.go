package rest_test

import (
	"context"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/statistics"
)

// fakeStatistics has one delivery, of 100 s on 2 January.
type fakeStatistics struct{ *fake }

func theDay() time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }

func theFigures() statistics.Figures {
	f := statistics.Figures{Deliveries: 1, Overdue: 1, DeliveryTime: 100, Waits: 1, WaitingTime: 3}
	f.Histogram[13] = 1
	return f
}

func (f fakeStatistics) Days(ctx context.Context, p statistics.Period) (statistics.Period, []statistics.Day, error) {
	if p.From.After(p.To) {
		return p, nil, statistics.ErrBadPeriod
	}
	return p, []statistics.Day{{Day: theDay(), Figures: theFigures()}}, f.answer(ctx)
}

func (f fakeStatistics) Courier(ctx context.Context, _ int64, p statistics.Period) (statistics.Period, []statistics.Day, error) {
	return p, nil, f.answer(ctx)
}

func (f fakeStatistics) Couriers(ctx context.Context, p statistics.Period, after int64, requested int) (statistics.Period, []statistics.CourierFigures, error) {
	all := []statistics.CourierFigures{{CourierID: 3, CourierName: "Anna", Figures: theFigures()}, {CourierID: 4}}
	if after == 3 {
		all = all[1:]
	}
	return p, all[:min(requested+1, len(all))], f.answer(ctx)
}

func statisticsExchanges() []exchange {
	const (
		path   = "GET /api/v1/statistics"
		period = "?from=2026-01-01&to=2026-01-31"
		one    = `"deliveries":1,"overdue_deliveries":1,"overdue_share":1,"average_delivery_seconds":100,"p95_delivery_seconds":100,"average_waiting_seconds":3}`
		none   = `"deliveries":0,"overdue_deliveries":0,"overdue_share":null,"average_delivery_seconds":null,"p95_delivery_seconds":null,"average_waiting_seconds":null}`
		month  = `"from":"2026-01-01","to":"2026-01-31",`
		zone   = `"zone":"UTC",`
	)
	return []exchange{
		{name: "statistics by day", line: path + period + "&by=day", status: 200, is: jsonType, want: `{` + month + zone + `"items":[{"from":"2026-01-02","to":"2026-01-02",` + one + `]}`},
		{name: "statistics of a period", line: path + period + "&by=period", status: 200, is: jsonType, want: `{` + month + zone + `"items":[{` + month + one + `]}`},
		{
			name: "statistics: bad period", line: path + "?from=2026-01-02&to=2026-01-01", status: 422, is: problemType, want: problemBody("bad_period"),
		},
		{
			name: "statistics: bad day", line: path + "?from=yesterday&by=week", status: 422, is: problemType,
			want: invalid(`{"location":"query.from","message":"invalid value: expected a day such as 2026-01-31"},{"location":"query.by","message":"expected value to be one of \"day, period\""}`),
		},
		{
			name: "statistics: a time is no day", line: path + "/couriers?to=2026-01-01T00:00:00Z", status: 422, is: problemType,
			want: invalid(`{"location":"query.to","message":"invalid value: expected a day such as 2026-01-31"}`),
		},
		{
			name: "statistics: the zero day is not left out", line: path + "?from=0001-01-01&to=1999-12-31", status: 422, is: problemType,
			want: invalid(`{"location":"query.from","message":"invalid value: expected 2000-01-01 or a later day"},` +
				`{"location":"query.to","message":"invalid value: expected 2000-01-01 or a later day"}`),
		},
		{
			name: "statistics: the first day", line: path + "?from=2000-01-01&to=2000-01-01", status: 200, is: jsonType,
			want: `{"from":"2000-01-01","to":"2000-01-01",` + zone + `"items":[{"from":"2000-01-01","to":"2000-01-01",` + one + `]}`,
		},
		{name: "statistics of a courier: none", line: "GET /api/v1/couriers/3/statistics" + period + "&by=day", status: 200, is: jsonType, want: `{` + month + zone + `"items":[]}`},
		{name: "statistics of a courier: none, in all", line: "GET /api/v1/couriers/3/statistics" + period + "&by=period", status: 200, is: jsonType, want: `{` + month + zone + `"items":[{` + month + none + `]}`},
		{
			name: "statistics of a courier: not found", line: "GET /api/v1/couriers/3/statistics", fake: fake{err: courier.ErrNotFound}, status: 404, is: problemType,
			want: problemBody("courier_not_found"),
		},
		{
			name: "statistics of couriers", line: path + "/couriers" + period + "&limit=1", status: 200, is: jsonType,
			want: `{"items":[{"courier_id":3,"courier_name":"Anna",` + month + one + `],"next_cursor":"eyJpZCI6M30"}`,
		},
		{
			name: "statistics of couriers, next page", line: path + "/couriers" + period + "&limit=1&cursor=eyJpZCI6M30", status: 200, is: jsonType,
			want: `{"items":[{"courier_id":4,"courier_name":"",` + month + none + `]}`,
		},
		{name: "statistics of couriers: bad cursor", line: path + "/couriers?cursor=x", status: 422, is: problemType, want: invalid(`{"location":"query.cursor","message":"not a cursor of this list"}`)},
		{
			name: "statistics: storage down", line: path, fake: fake{err: courier.ErrUnavailable}, status: 503, is: problemType,
			want: problemBody("storage_unavailable"), retry: "2",
		},
	}
}
