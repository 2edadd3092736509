package orderevent

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// summaryInterval is the shortest time between two lines of the log with the same cause: while
// some orders fail, each batch may have one of them.
const summaryInterval = time.Minute

// maxLines bounds the lines that are remembered: service-order may report another unknown
// status for each order. Beyond it, lines do not differ by their reasons.
const maxLines = 100

// line is what the log has of orders that have the same cause.
type line struct {
	outcome Outcome
	recheck Reason // "": the event was ignored
	reason  string // "" if it may differ from order to order
}

// lineOf returns the line on a decision, if it needs one.
func lineOf(d decision) (l line, ok bool) {
	recheck := d.next.Recheck
	begins := recheck.In > 0 && recheck.Count+recheck.Failures == 1
	switch {
	case d.outcome == Ignored, d.outcome == Superseded:
		return line{d.outcome, "", d.reason}, true
	case begins && recheck.Reason == ReasonUnknownStatus:
		return line{d.outcome, recheck.Reason, d.reason}, true
	case begins:
		return line{d.outcome, recheck.Reason, ""}, true
	}
	return line{}, false
}

// summaries log the decisions of all batches: each cause at most once an interval, with one
// order and the number of orders since the line before. The other orders are logged at debug.
type summaries struct {
	log *slog.Logger

	mu    sync.Mutex
	lines map[line]summary
}

// summary is a line that was logged lately.
type summary struct {
	logged time.Time
	orders int // since
}

// report logs the decisions of a batch.
func (s *summaries) report(ctx context.Context, decisions []decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.lines, func(_ line, last summary) bool { return now.Sub(last.logged) > 2*summaryInterval })
	examples := make(map[line]decision)
	for _, d := range decisions {
		l, ok := lineOf(d)
		if !ok {
			continue
		}
		if _, known := s.lines[l]; !known && len(s.lines) >= maxLines {
			l.reason = ""
		}
		last := s.lines[l]
		last.orders++
		s.lines[l] = last
		if _, has := examples[l]; !has && now.Sub(last.logged) >= summaryInterval {
			examples[l] = d
		} else {
			s.write(ctx, l, d, 0)
		}
	}
	for l, d := range examples {
		s.write(ctx, l, d, s.lines[l].orders)
		s.lines[l] = summary{logged: now}
	}
}

// write logs an order as the example of count orders, or of 0 at debug.
func (s *summaries) write(ctx context.Context, l line, d decision, count int) {
	attrs := []any{slog.String("order_id", string(d.next.OrderID)), slog.String("reason", d.reason)}
	info := s.log.DebugContext
	if count > 0 {
		info, attrs = s.log.InfoContext, append(attrs, slog.Int("count", count))
	}
	switch {
	case l.recheck == "":
		info(ctx, "event ignored", append(attrs, slog.String("outcome", string(l.outcome)))...)
	case l.recheck == ReasonUnknownStatus && count > 0:
		s.log.WarnContext(ctx, "unknown order status", attrs...)
	case l.recheck == ReasonUnknownStatus:
		s.log.DebugContext(ctx, "unknown order status", attrs...)
	default:
		info(ctx, "recheck scheduled", append(attrs, slog.String("recheck_reason", string(l.recheck)))...)
	}
}
