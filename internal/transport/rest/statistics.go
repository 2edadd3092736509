package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"service-courier/internal/usecase/statistics"
)

// Statistics is the use case of package statistics. Its errors match
// statistics.ErrBadPeriod and the sentinels of package courier.
type Statistics interface {
	Days(ctx context.Context, p statistics.Period) (statistics.Period, []statistics.Day, error)
	Courier(ctx context.Context, id int64, p statistics.Period) (statistics.Period, []statistics.Day, error)
	Couriers(ctx context.Context, p statistics.Period, after int64, limit int) (statistics.Period, []statistics.CourierFigures, error)
}

type statisticsAPI struct{ statistics Statistics }

const statisticsPath = versioned + "/statistics"

const aboutStatistics = "A delivery counts on the day (UTC) of its completion. Cancelled orders do not count, even when cancelled after completion. " +
	"Default: the last 30 days; at most 366 days, from 2000-01-01 on. "

func (a *api) registerStatistics(use Statistics) {
	s := statisticsAPI{use}
	register(a, read, huma.Operation{
		OperationID: "get-statistics", Method: http.MethodGet, Path: statisticsPath, Tags: []string{"statistics"},
		Summary:     "Show delivery statistics of all couriers",
		Description: aboutStatistics + "Days without a delivery are omitted.",
		Errors:      []int{http.StatusServiceUnavailable},
	}, s.all)
	register(a, read, huma.Operation{
		OperationID: "list-courier-statistics", Method: http.MethodGet, Path: statisticsPath + "/couriers", Tags: []string{"statistics"},
		Summary: "List delivery statistics by courier",
		Description: aboutStatistics + "Sorted by courier id; couriers without a delivery are included. " +
			"A page of more than 120 days has fewer than 100 couriers: continue with next_cursor.",
		Errors: []int{http.StatusServiceUnavailable},
	}, s.couriers)
	register(a, read, huma.Operation{
		OperationID: "get-courier-statistics", Method: http.MethodGet, Path: courierPath + "/statistics", Tags: []string{"statistics"},
		Summary:     "Show delivery statistics of a courier",
		Description: aboutStatistics + "Days without a delivery are omitted.",
		Errors:      []int{http.StatusNotFound, http.StatusServiceUnavailable},
	}, s.courier)
}

// day is a day (UTC) in a query; zero when omitted. It is parsed here because huma's
// message for a bad time.Time shows a layout of Go.
type day time.Time

// firstDay is before any delivery, and not the zero time, which means omitted.
func firstDay() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// UnmarshalText implements encoding.TextUnmarshaler; huma shows its error to the client.
func (d *day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	switch {
	case err != nil:
		return errors.New("expected a day such as 2026-01-31")
	case t.Before(firstDay()):
		return errors.New("expected 2000-01-01 or a later day")
	}
	*d = day(t)
	return nil
}

// PeriodInput is a period of days.
type PeriodInput struct {
	From day `query:"from" format:"date" doc:"first day, 2000-01-01 or later; default: 29 days before to" example:"2026-11-01"`
	To   day `query:"to" format:"date" doc:"last day, 2000-01-01 or later; default: today" example:"2026-11-30"`
}

func (in PeriodInput) period() statistics.Period {
	return statistics.Period{From: time.Time(in.From), To: time.Time(in.To)}
}

// ByInput is the granularity of statistics.
type ByInput struct {
	By string `query:"by" enum:"day,period" default:"period" doc:"one item per day, or one for the whole period"`
}

type statisticsInput struct {
	PeriodInput
	ByInput
}

type courierStatisticsInput struct {
	CourierInput
	PeriodInput
	ByInput
}

// StatisticsBody is the statistics of some deliveries. Averages and quantiles are null
// without a delivery.
type StatisticsBody struct {
	From              string   `json:"from" format:"date" example:"2026-11-01"`
	To                string   `json:"to" format:"date" example:"2026-11-30"`
	Deliveries        int64    `json:"deliveries" minimum:"0" example:"412"`
	OverdueDeliveries int64    `json:"overdue_deliveries" minimum:"0" doc:"completed after their deadline" example:"13"`
	OverdueShare      *float64 `json:"overdue_share" doc:"overdue_deliveries / deliveries" example:"0.031"`
	AverageSeconds    *float64 `json:"average_delivery_seconds" doc:"from assignment to completion" example:"871.4"`
	P95Seconds        *float64 `json:"p95_delivery_seconds" doc:"95th percentile from a histogram: at most 10 % off between 10 s and 2 h 50 min, exact for one delivery" example:"1530.2"`
	AverageWaiting    *float64 `json:"average_waiting_seconds" doc:"from when this service first saw the order to its last assignment, which includes the time with an earlier courier; deliveries without that time are not included" example:"12.5"`
}

func newStatisticsBody(from, to time.Time, f statistics.Figures) StatisticsBody {
	return StatisticsBody{
		from.Format(time.DateOnly), to.Format(time.DateOnly),
		f.Deliveries, f.Overdue, orNil(f.OverdueShare()), orNil(f.AverageDelivery()), orNil(f.QuantileDelivery(0.95)), orNil(f.AverageWaiting()),
	}
}

// orNil rounds to thousandths: milliseconds, tenths of a per cent.
func orNil(v float64, known bool) *float64 {
	if !known {
		return nil
	}
	v = math.Round(v*1000) / 1000
	return &v
}

type statisticsList struct {
	From  string           `json:"from" format:"date" doc:"first day of the period" example:"2026-11-01"`
	To    string           `json:"to" format:"date" doc:"last day of the period" example:"2026-11-30"`
	Zone  string           `json:"zone" enum:"UTC" doc:"time zone of the days"`
	Items []StatisticsBody `json:"items" nullable:"false"`
}

func (s statisticsAPI) all(ctx context.Context, in *statisticsInput) (*output[statisticsList], error) {
	p, days, err := s.statistics.Days(ctx, in.period())
	return respond(newStatisticsList(in.By, p, days), err)
}

func (s statisticsAPI) courier(ctx context.Context, in *courierStatisticsInput) (*output[statisticsList], error) {
	p, days, err := s.statistics.Courier(ctx, in.CourierID, in.period())
	return respond(newStatisticsList(in.By, p, days), err)
}

func newStatisticsList(by string, p statistics.Period, days []statistics.Day) statisticsList {
	list := statisticsList{p.From.Format(time.DateOnly), p.To.Format(time.DateOnly), "UTC", make([]StatisticsBody, len(days))} // never null
	for i, d := range days {
		list.Items[i] = newStatisticsBody(d.Day, d.Day, d.Figures)
	}
	if by == "period" {
		list.Items = []StatisticsBody{newStatisticsBody(p.From, p.To, statistics.Sum(days))}
	}
	return list
}

type couriersStatisticsInput struct {
	PeriodInput
	PageInput
}

type courierStatistics struct {
	CourierID   int64  `json:"courier_id" minimum:"1" example:"7"`
	CourierName string `json:"courier_name" example:"Anna"`
	StatisticsBody
}

func (s statisticsAPI) couriers(ctx context.Context, in *couriersStatisticsInput) (*output[page[courierStatistics]], error) {
	after, err := decodeCursor[idKey](in.Cursor)
	if err != nil {
		return nil, err
	}
	p, found, err := s.statistics.Couriers(ctx, in.period(), after.ID, in.Limit)
	if err != nil {
		return nil, err
	}
	body := func(c statistics.CourierFigures) courierStatistics {
		return courierStatistics{c.CourierID, c.CourierName, newStatisticsBody(p.From, p.To, c.Figures)}
	}
	key := func(c statistics.CourierFigures) idKey { return idKey{c.CourierID} }
	return respond(newPage(found, p.PageSize(in.Limit), body, key), nil)
}
