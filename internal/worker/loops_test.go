package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/usecase/orderevent"
)

// line is a Line that counts how often it was asked.
type line struct {
	calls atomic.Int64
	fail  func(call int64) error
}

func (l *line) Match(context.Context, int) ([]orderevent.Assignment, error) {
	call := l.calls.Add(1)
	if l.fail != nil {
		return nil, l.fail(call)
	}
	return nil, nil
}

type noObserver struct{}

func (noObserver) Reconciled(orderevent.Outcome)   {}
func (noObserver) Matched([]orderevent.Assignment) {}
func (noObserver) Begin(ctx context.Context, _ orderevent.Phase, _ ...orderevent.Hint) (context.Context, orderevent.End) {
	return ctx, func(int, error) {}
}

// TestMatchRunsWhenWokenAndOnATimer: woken, it matches at once; a wake that was
// lost in a crash costs no more than the timer's period.
func TestMatchRunsWhenWokenAndOnATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l line
		m := orderevent.NewMatcher(&l, noObserver{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); Match(ctx, m, slog.New(slog.DiscardHandler)) }()
		m.Wake()
		m.Wake() // together one
		synctest.Wait()
		woken := l.calls.Load()
		<-time.After(matchEvery + time.Millisecond)
		synctest.Wait()
		timed := l.calls.Load()
		cancel()
		<-done
		if woken < 1 || woken > 2 || timed != woken+1 {
			t.Errorf("matched %d times when woken twice and %d times after the timer", woken, timed)
		}
	})
}

func TestMatchTellsOfAnOutageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := line{fail: func(call int64) error {
			if call <= 5 {
				return errors.New("the database is away")
			}
			return nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		Match(ctx, orderevent.NewMatcher(&l, noObserver{}), slog.New(slog.NewTextHandler(&log, nil)))
		if n := strings.Count(log.String(), "\n"); n != 2 || l.calls.Load() < 100 {
			t.Errorf("%d calls, log:\n%s", l.calls.Load(), log.String())
		}
	})
}

// looks hands out what is due, and what was leased is not handed out again.
type looks struct {
	due    []orderevent.Hint
	leases []time.Duration
}

func (l *looks) ClaimDue(_ context.Context, limit int, lease time.Duration) ([]orderevent.Hint, error) {
	n := min(limit, len(l.due))
	claimed := l.due[:n]
	l.due = l.due[n:]
	l.leases = append(l.leases, lease)
	return claimed, nil
}

func TestDueSubmitsAllThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looks{}
		for i := range 2*dueBatch + 1 {
			l.due = append(l.due, orderevent.Hint{OrderID: "o", Token: int64(i + 1)})
		}
		w := &world{}
		ctx, cancel := context.WithTimeout(t.Context(), dueEvery+time.Millisecond)
		defer cancel()
		Due(ctx, l, w, w, slog.New(slog.DiscardHandler))
		if len(w.submitted) != 2*dueBatch+1 || w.submitted[0].Source != "look-again" || w.submitted[0].Token != 1 {
			t.Errorf("submitted %d hints, want all with their tokens", len(w.submitted))
		}
		for _, lease := range l.leases {
			if lease < 10*time.Second {
				t.Errorf("a lease of %v is no longer than a batch may take", lease)
			}
		}
	})
}

func TestDueClaimsNothingWhileServiceOrderIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looks{due: []orderevent.Hint{{OrderID: "o", Token: 1}}}
		w := &world{down: true}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		Due(ctx, l, w, w, slog.New(slog.DiscardHandler))
		if len(l.leases) != 0 {
			t.Errorf("claimed %d times", len(l.leases))
		}
	})
}
