package api

import (
	"fmt"
	"testing"
	"time"
)

// TestStatistics: two deliveries of two couriers, one of them overdue, and one
// that is cancelled after its completion.
func TestStatistics(t *testing.T) {
	s := newStack(t, 3)
	var ids []string
	for range 3 {
		ids = append(ids, s.order())
		s.becomes(ids[len(ids)-1], "assigned")
	}
	s.exec("UPDATE courier_orders SET assigned_at = assigned_at - interval '600 s', deadline = deadline - interval '600 s' WHERE order_id = $1", ids[0])
	for _, id := range ids {
		s.must(s.sim.SetStatus(id, "completed"))
		s.becomes(id, "completed")
	}
	s.must(s.sim.Delete(ids[2]))
	s.becomes(ids[2], "cancelled")

	const (
		both = `"deliveries":2,"overdue_deliveries":1,"overdue_share":0\.5,"average_delivery_seconds":3[0-9]{2}[.0-9]*,"p95_delivery_seconds":[56][0-9]{2}[.0-9]*,"average_waiting_seconds":-?[0-9.]+\}`
		none = `"deliveries":0,"overdue_deliveries":0,"overdue_share":null,"average_delivery_seconds":null,"p95_delivery_seconds":null,"average_waiting_seconds":null\}`
	)
	today := time.Now().UTC()
	from, to := today.AddDate(0, 0, -1).Format(time.DateOnly), today.AddDate(0, 0, 1).Format(time.DateOnly)
	period := fmt.Sprintf("?from=%s&to=%s", from, to)
	answer := func(from, to string) string { return `\{"from":"` + from + `","to":"` + to + `","zone":"UTC","items":` }
	s.want(200, answer(from, to)+`\[\{"from":"`+from+`","to":"`+to+`",`+both+`\]\}`, "GET /api/v1/statistics"+period, "")
	s.want(200, answer(from, to)+`\[\{"from":"20[0-9-]+","to":"20[0-9-]+","deliveries":[12],.*\]\}`, "GET /api/v1/statistics"+period+"&by=day", "")
	courierID := s.one("SELECT courier_id FROM courier_orders WHERE order_id = $1", ids[0])
	s.want(200, answer(from, to)+`\[\{.*"deliveries":1,"overdue_deliveries":1,"overdue_share":1,.*\]\}`, "GET /api/v1/couriers/"+courierID+"/statistics"+period, "")
	s.want(200, `\{"items":\[(\{"courier_id":[1-3],"courier_name":"c[1-3]","from":.*\},?){3}\]\}`, "GET /api/v1/statistics/couriers"+period, "")
	s.want(200, `\{"items":\[\{"courier_id":1,.*\}\],"next_cursor":"[^"]+"\}`, "GET /api/v1/statistics/couriers"+period+"&limit=1", "")
	s.want(200, answer("2001-01-01", "2001-01-31")+`\[\{"from":"2001-01-01","to":"2001-01-31",`+none+`\]\}`, "GET /api/v1/statistics?from=2001-01-01&to=2001-01-31", "")
	s.want(200, answer("2001-01-01", "2001-01-31")+`\[\]\}`, "GET /api/v1/statistics?from=2001-01-01&to=2001-01-31&by=day", "")
	s.want(404, "courier_not_found", "GET /api/v1/couriers/99/statistics", "")
	s.want(422, "bad_period", "GET /api/v1/statistics?from=2026-01-02&to=2026-01-01", "")
	s.want(422, "bad_period", "GET /api/v1/statistics/couriers?from=2024-01-01&to=2026-01-01", "")
	s.want(422, "validation_failed", "GET /api/v1/statistics?from=2026-01-01T00:00:00Z", "")
	s.sound()
}
