package rest

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/usecase/statistics"
)

// Statistics is the use case of asking how deliveries went. Its errors match
// statistics.ErrBadPeriod and the sentinels of the domain.
type Statistics interface {
	Fleet(ctx context.Context, p statistics.Period) (statistics.Period, []statistics.Day, error)
	Courier(ctx context.Context, id int64, p statistics.Period) (statistics.Period, []statistics.Day, error)
	Couriers(ctx context.Context, p statistics.Period, after int64, asked int) (statistics.Period, []statistics.OfCourier, error)
}

type statisticsAPI struct{ statistics Statistics }

const statisticsPath = versioned + "/statistics"

const aboutStatistics = "A delivery counts on the day (UTC) of its completion; the orders cancelled, before or after it, count nowhere. " +
	"Without from and to, the last 30 days; at most 366 at once, and none may be named before 2000-01-01. "

func (a *api) registerStatistics(s Statistics) {
	api := statisticsAPI{s}
	register(a, read, huma.Operation{
		OperationID: "get-statistics", Method: http.MethodGet, Path: statisticsPath, Tags: []string{"statistics"},
		Summary:     "How the deliveries of all couriers went",
		Description: aboutStatistics + "Days on which nothing was delivered are left out.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, api.fleet)
	register(a, read, huma.Operation{
		OperationID: "list-courier-statistics", Method: http.MethodGet, Path: statisticsPath + "/couriers", Tags: []string{"statistics"},
		Summary: "How the deliveries of each courier went",
		Description: aboutStatistics + "Couriers come in the order of their ids; those who delivered nothing too. " +
			"Over more than 120 days a page holds fewer than 100: go on with next_cursor.",
		Errors: []int{http.StatusServiceUnavailable},
	}, api.couriers)
	register(a, read, huma.Operation{
		OperationID: "get-courier-statistics", Method: http.MethodGet, Path: memberPath + "/statistics", Tags: []string{"statistics"},
		Summary:     "How the deliveries of one courier went",
		Description: aboutStatistics + "Days on which he delivered nothing are left out.",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, api.courier)
}

// PeriodInput is a period of days; embed it.
type PeriodInput struct {
	From day `query:"from" format:"date" doc:"the first day, 2000-01-01 or later; without it, 29 days before to" example:"2026-11-01"`
	To   day `query:"to" format:"date" doc:"the last day, 2000-01-01 or later; without it, today" example:"2026-11-30"`
}

func (in PeriodInput) period() statistics.Period {
	return statistics.Period{From: time.Time(in.From), To: time.Time(in.To)}
}

// ByInput says how finely to answer; embed it.
type ByInput struct {
	By string `query:"by" enum:"day,period" default:"period" doc:"one item a day, or one of the whole period"`
}

type fleetStatisticsInput struct {
	PeriodInput
	ByInput
}

type courierStatisticsInput struct {
	MemberInput
	PeriodInput
	ByInput
}

// FiguresBody is what there is to say of some deliveries. What needs at least one
// delivery is null without one.
type FiguresBody struct {
	Deliveries     int64    `json:"deliveries" minimum:"0" example:"412"`
	LateDeliveries int64    `json:"late_deliveries" minimum:"0" doc:"completed after their deadline" example:"13"`
	LateShare      *float64 `json:"late_share" doc:"late_deliveries of deliveries" example:"0.031"`
	AverageSeconds *float64 `json:"average_delivery_seconds" doc:"from assignment to completion" example:"871.4"`
	P95Seconds     *float64 `json:"p95_delivery_seconds" doc:"what 95 % of the deliveries did not exceed, from a histogram: at most 10 % off between 10 s and 2 h 50 min" example:"1530.2"`
	AverageWaiting *float64 `json:"average_waiting_seconds" doc:"from when the order was first heard of to its assignment; deliveries of which that is not known are left out" example:"12.5"`
}

func newFiguresBody(f statistics.Figures) FiguresBody {
	return FiguresBody{
		f.Deliveries, f.Late, orNil(f.LateShare()), orNil(f.AverageDelivery()), orNil(f.Histogram.Quantile(0.95)), orNil(f.AverageWaiting()),
	}
}

// orNil rounds to what there is sense in: milliseconds, tenths of a per cent.
func orNil(v float64, known bool) *float64 {
	if !known {
		return nil
	}
	v = math.Round(v*1000) / 1000
	return &v
}

// DatedBody is figures from one day to another.
type DatedBody struct {
	From string `json:"from" format:"date" example:"2026-11-01"`
	To   string `json:"to" format:"date" example:"2026-11-30"`
	FiguresBody
}

func newDated(from, to time.Time, f statistics.Figures) DatedBody {
	return DatedBody{from.Format(time.DateOnly), to.Format(time.DateOnly), newFiguresBody(f)}
}

type statisticsOutput struct {
	Body struct {
		Items []DatedBody `json:"items" nullable:"false"`
	}
}

func (s statisticsAPI) fleet(ctx context.Context, in *fleetStatisticsInput) (*statisticsOutput, error) {
	p, days, err := s.statistics.Fleet(ctx, in.period())
	return newStatistics(in.By, p, days, err)
}

func (s statisticsAPI) courier(ctx context.Context, in *courierStatisticsInput) (*statisticsOutput, error) {
	p, days, err := s.statistics.Courier(ctx, in.CourierID, in.period())
	return newStatistics(in.By, p, days, err)
}

func newStatistics(by string, p statistics.Period, days []statistics.Day, err error) (*statisticsOutput, error) {
	if err != nil {
		return nil, err
	}
	out := new(statisticsOutput)
	if by == "period" {
		out.Body.Items = []DatedBody{newDated(p.From, p.To, statistics.Sum(days))}
		return out, nil
	}
	out.Body.Items = make([]DatedBody, len(days)) // never null
	for i, d := range days {
		out.Body.Items[i] = newDated(d.Day, d.Day, d.Figures)
	}
	return out, nil
}

type couriersStatisticsInput struct {
	PeriodInput
	PageInput
}

type ofCourierBody struct {
	CourierID int64 `json:"courier_id" minimum:"1" example:"7"`
	DatedBody
}

type couriersStatisticsOutput struct{ Body pageBody[ofCourierBody] }

func (s statisticsAPI) couriers(ctx context.Context, in *couriersStatisticsInput) (*couriersStatisticsOutput, error) {
	after, err := decodeCursor[fleetKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	p, found, err := s.statistics.Couriers(ctx, in.period(), after.ID, in.Limit)
	if err != nil {
		return nil, err
	}
	body := func(c statistics.OfCourier) ofCourierBody {
		return ofCourierBody{c.CourierID, newDated(p.From, p.To, c.Figures)}
	}
	key := func(c statistics.OfCourier) fleetKey { return fleetKey{c.CourierID} }
	return &couriersStatisticsOutput{newPage(found, p.PageSize(in.Limit), body, key)}, nil
}
