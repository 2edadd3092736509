package livefeed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

func TestSnapshotThenChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1, 2)
		s := w.join("")
		w.expect(s, "snapshot all, live @")
		w.commit(3)
		w.expect(s, "change o-3@")
		w.commit(4, 5)
		w.expect(s, "change o-4@, change o-5@")
	})
}

// TestCourierChange has its own kind, and its place among the changes of orders.
func TestCourierChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.join("")
		w.expect(s, "snapshot all, live @")
		w.mu.Lock()
		w.changes = append(w.changes, livefeed.Change{ID: 1, OrderID: "o-1"}, livefeed.Change{ID: 2, CourierChange: livefeed.CourierPaused}, livefeed.Change{ID: 3, OrderID: "o-3"})
		w.end = 3
		w.mu.Unlock()
		w.expect(s, "change o-1@, courier @, change o-3@")
	})
}

// TestCourierChangeOf names each change of a courier.
func TestCourierChangeOf(t *testing.T) {
	available, paused := courier.Courier{Status: courier.StatusAvailable}, courier.Courier{Status: courier.StatusPaused}
	busy, pausing := courier.Courier{Status: courier.StatusBusy}, courier.Courier{Status: courier.StatusBusy, PauseAfter: true}
	for _, c := range []struct {
		was, is courier.Courier
		want    livefeed.CourierChange
	}{
		{available, paused, livefeed.CourierPaused},
		{busy, pausing, livefeed.CourierPaused},
		{paused, available, livefeed.CourierResumed},
		{pausing, busy, livefeed.CourierResumed},
		{available, courier.Courier{Status: courier.StatusAvailable, Name: "Anna"}, livefeed.CourierEdited},
		{paused, courier.Courier{Status: courier.StatusPaused, Name: "Anna"}, livefeed.CourierEdited},
	} {
		if got := livefeed.CourierChangeOf(c.was, c.is); got != c.want {
			t.Errorf("%+v to %+v: %s, want %s", c.was, c.is, got, c.want)
		}
	}
}

// TestChangesOverlappingSnapshot: a snapshot includes changes behind one that is still to
// come. Those it does not include are sent, by id and without an id to reconnect with,
// up to the last one that it includes; the others are not.
func TestChangesOverlappingSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1, 9)
		w.next(w.join("")) // 2 to 8 are settled
		w.write(livefeed.Writer{Transaction: "slow", PID: 7})
		w.commit(11, 13)
		<-time.After(time.Second)
		s := w.join("")
		w.expect(s, "snapshot all")
		w.commit(10)
		w.expect(s, "change o-10")
		w.commit(12, 14)
		last := w.expect(s, "change o-12, change o-14, live @")
		w.commit(15)
		w.expect(s, "change o-15@")
		w.expect(w.join(last), "change o-15@")
	})
}

// TestReplacedJournal: the database is restored while subscribers wait. They get a
// snapshot, and then the changes of the restored journal, whose ids are lower; so does
// one that reconnects, also when the journal has reached its id again.
func TestReplacedJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1, 2, 3)
		s := w.join("")
		before := w.expect(s, "snapshot all, live @")
		w.replace()
		w.commit(1)
		w.expect(s, "snapshot all, live @")
		w.expect(w.join(before), "snapshot all, live @")
		w.commit(2, 3, 4)
		w.expect(s, "change o-2@, change o-3@, change o-4@")
		<-time.After(time.Minute)
		w.expect(w.join(before), "snapshot all, live @")
		if log := w.log.String(); strings.Count(log, "journal replaced") != 1 {
			t.Errorf("log: %s", log)
		}
		if failed, _, _ := w.outages.reported(); failed != 0 {
			t.Errorf("%d failures reported", failed)
		}
	})
}

// TestBlockedJournalIsReported: a transaction that has an id and does not end blocks later
// changes. It is reported by name after 10 s; new subscribers are still accepted.
func TestBlockedJournalIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		s := w.join("")
		w.next(s)
		w.write(livefeed.Writer{Transaction: "5/77", PID: 4711})
		w.commit(3)
		<-time.After(9 * time.Second)
		synctest.Wait()
		if failed, _, _ := w.outages.reported(); failed != 0 {
			t.Errorf("%d failures reported after 9 s", failed)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		failed, _, last := w.outages.reported()
		if err := fmt.Sprint(last); failed == 0 || !strings.Contains(err, "5/77") || !strings.Contains(err, "4711") {
			t.Errorf("%d failures reported, the last: %s", failed, err)
		}
		w.expect(w.join(""), "snapshot all")
		w.write()
		w.expect(s, "change o-3@")
		synctest.Wait()
		if _, recovered, _ := w.outages.reported(); recovered == 0 {
			t.Error("the end is not reported")
		}
	})
}

func TestResumeAfterLastEventID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		s := w.join("")
		w.next(s)
		w.commit(2, 3, 4)
		_, last := w.next(s)
		s.Close()
		w.commit(5, 6)
		<-time.After(time.Minute) // without subscribers the ring is dropped
		w.expect(w.join(last), "change o-5@, change o-6@")
		w.expect(w.join(cursor(2)), "change o-3@, change o-4@, change o-5@, change o-6@")
	})
}

func TestSnapshotWithoutUsableCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for id := int64(10); id < 9000; id++ {
			w.commit(id)
		}
		for name, id := range map[string]string{
			"none": "", "no cursor": "7f0c4b", "hostile": strings.Repeat("z", 10_000), "negative": "-1.1",
			"too old": cursor(10), "ahead of all": cursor(9500), "another epoch": livefeed.Cursor{Epoch: 2, ID: 8999}.String(),
		} {
			if sent, _ := w.next(w.join(id)); !strings.HasPrefix(sent, "snapshot all") {
				t.Errorf("%s: sent %.60q…, want a snapshot", name, sent)
			}
		}
		if _, snapshots := w.counts(); snapshots > 2 {
			t.Errorf("%d snapshots were read for seven subscribers", snapshots)
		}
	})
}

// TestCursorAheadOfThisReplica: another replica has sent more than this one has read.
func TestCursorAheadOfThisReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		w.next(w.join("")) // the ring ends here
		w.commit(2, 3)
		w.expect(w.join(cursor(2)), "change o-3@")
	})
}

// TestSlowSubscriberGetsSnapshotAgain: a subscriber that falls behind the ring gets a
// snapshot, and every later change once.
func TestSlowSubscriberGetsSnapshotAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow, quick := w.join(""), w.join("")
		w.next(slow)
		w.next(quick)
		sent := 0
		for id := int64(1); id <= 20_000; id++ {
			w.commit(id)
			if id%1000 == 0 {
				text, _ := w.next(quick)
				sent += strings.Count(text, "change")
			}
		}
		if sent != 20_000 {
			t.Errorf("the quick subscriber got %d of 20,000 changes", sent)
		}
		w.expect(slow, "snapshot all, live @")
		w.commit(20_001)
		w.expect(slow, "change o-20001@")
		if _, resent := w.hub.Subscribers(); resent != 1 {
			t.Errorf("%d snapshots resent, want 1", resent)
		}
	})
}

func TestReadsOnlyWithSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		<-time.After(time.Hour)
		if reads, _ := w.counts(); reads != 0 {
			t.Errorf("read %d times without subscribers", reads)
		}
		s := w.join("")
		w.next(s)
		began, flushes := time.Now(), 0
		for id := int64(1); time.Since(began) < time.Second; id++ {
			w.commit(id)
			w.next(s)
			flushes++
		}
		if flushes > 11 {
			t.Errorf("%d rounds in a second, want at most 10", flushes)
		}
		s.Close()
		<-time.After(time.Second)
		before, _ := w.counts()
		<-time.After(time.Hour)
		if after, _ := w.counts(); after != before {
			t.Errorf("read %d times after the last subscriber left", after-before)
		}
	})
}

func TestJournalUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fail(errors.New("no database"))
		if _, err := w.hub.Subscribe(t.Context(), ""); !errors.Is(err, courier.ErrUnavailable) {
			t.Fatalf("Subscribe: %v, want ErrUnavailable", err)
		}
		w.fail(nil)
		s := w.join("")
		w.next(s)
		w.fail(errors.New("no database"))
		<-time.After(2 * time.Second)
		w.commit(1, 2)
		w.fail(nil)
		w.expect(s, "change o-1@, change o-2@") // a short interruption
		if failed, recovered, _ := w.outages.reported(); failed < 2 || recovered == 0 {
			t.Errorf("%d failures and %d successes reported", failed, recovered)
		}
	})
}

// TestSubscriptionsEndWhileJournalIsUnavailable: an outage does not look like silence. A
// subscriber that reconnects is refused until the journal is readable, and misses nothing.
func TestSubscriptionsEndWhileJournalIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s, other := w.join(""), w.join("")
		w.next(other)
		_, last := w.next(s)
		<-time.After(time.Minute)
		w.fail(errors.New("no database"))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.Next(ctx)
		if took := time.Since(began); !errors.Is(err, courier.ErrUnavailable) || took < 2*time.Second || took > 4*time.Second {
			t.Errorf("Next: %v after %v, want ErrUnavailable after 3s", err, took)
		}
		s.Close() // other stays, and with it what was read
		if _, err := w.hub.Subscribe(t.Context(), last); !errors.Is(err, courier.ErrUnavailable) {
			t.Errorf("Subscribe: %v, want ErrUnavailable", err)
		}
		w.commit(1, 2)
		w.fail(nil)
		<-time.After(time.Second)
		w.expect(w.join(last), "change o-1@, change o-2@")
		w.expect(other, "change o-1@, change o-2@")
	})
}

// TestFeedPanicIsContained: a change that makes the encoder panic does not end the process.
// It is logged once with its stack, and skipped: subscribers get a snapshot and every
// later change.
func TestFeedPanicIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		s := w.join("")
		w.next(s)
		w.commit(30_000)
		w.expect(s, "snapshot all, live @")
		w.commit(30_001)
		w.expect(s, "change o-30001@")
		w.expect(w.join(""), "snapshot all, change o-30001, live @") // the same snapshot
		synctest.Wait()
		if log := w.log.String(); strings.Count(log, "panic recovered") != 1 || !strings.Contains(log, "panic=poison") || !strings.Contains(log, "main_test.go") {
			t.Errorf("log: %s", log)
		}
		if failed, recovered, _ := w.outages.reported(); failed != 1 || recovered == 0 {
			t.Errorf("%d failures and %d successes reported", failed, recovered)
		}
	})
}

// TestJournalHangs: Subscribe gives up after 3 s, and a round of reading after 5 s. Each
// fails without its timeout.
func TestJournalHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hangs = true
		began := time.Now()
		_, err := w.hub.Subscribe(t.Context(), "")
		if took := time.Since(began); !errors.Is(err, courier.ErrUnavailable) || took != 3*time.Second {
			t.Errorf("Subscribe: %v after %v, want ErrUnavailable after 3s", err, took)
		}
		if now, _ := w.hub.Subscribers(); now != 0 {
			t.Errorf("%d subscribers, want 0", now)
		}
		<-time.After(3 * time.Second)
		synctest.Wait()
		if failed, _, _ := w.outages.reported(); failed != 1 {
			t.Errorf("%d failures reported after %v, want that of the round", failed, time.Since(began))
		}
	})
}

// TestSnapshotIsSharedBriefly: a later subscriber gets a later snapshot. It fails when
// snapshots are shared for ever.
func TestSnapshotIsSharedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, want := range []int{1, 1, 2} {
			w.next(w.join(""))
			if _, snapshots := w.counts(); snapshots != want {
				t.Errorf("%d snapshots were read, want %d", snapshots, want)
			}
			<-time.After(600 * time.Millisecond)
		}
	})
}

// TestSubscriberLimit: a closed subscription makes room for one, however often it is
// closed.
func TestSubscriberLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const most = 4096
		first := w.join("")
		for range most - 1 {
			w.join("")
		}
		full := func() {
			t.Helper()
			_, err := w.hub.Subscribe(t.Context(), "")
			if now, _ := w.hub.Subscribers(); !errors.Is(err, courier.ErrUnavailable) || now != most {
				t.Errorf("one more subscriber: %v, %d in total; want ErrUnavailable and %d", err, now, most)
			}
		}
		full()
		first.Close()
		first.Close()
		w.join("")
		full()
	})
}

func TestHubStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.join("")
		w.next(s)
		go w.stop()
		if _, err := s.Next(t.Context()); !errors.Is(err, livefeed.ErrEnded) {
			t.Errorf("Next: %v, want ErrEnded", err)
		}
		if _, err := w.hub.Subscribe(t.Context(), ""); !errors.Is(err, courier.ErrUnavailable) {
			t.Errorf("Subscribe after the end: %v, want ErrUnavailable", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Next(ctx); err == nil {
			t.Error("Next returned after the end")
		}
	})
}
