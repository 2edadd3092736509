package livefeed_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/livefeed"
)

func TestFirstHowThingsStandThenChanges(t *testing.T) {
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

// TestSeamOfSnapshotAndChanges: transactions overlap the snapshot. Those it has
// not seen are told, in the journal's order and without an id, until all that
// were under way have ended; those it has are not. Without Seen.Has, o-11 is
// told twice (tried); begun at To instead of From, the client is live before o-10 is
// told, and misses it (tried).
func TestSeamOfSnapshotAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(9)
		w.seen = livefeed.Seen{From: 10, To: 13, Running: map[uint64]struct{}{10: {}, 12: {}}}
		s := w.join("")
		w.expect(s, "snapshot all")
		w.commit(10, 11)
		w.expect(s, "change o-10")
		w.commit(12, 13)
		last := w.expect(s, "change o-12, change o-13, live @")
		w.commit(14)
		w.expect(s, "change o-14@")
		w.expect(w.join(last), "change o-14@")
	})
}

func TestGoesOnBehindTheLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		s := w.join("")
		w.next(s)
		w.commit(2, 2, 3)
		w.commit(4)
		_, last := w.next(s)
		s.Close()
		w.commit(5, 6)
		<-time.After(time.Minute) // nobody listens: the ring is gone
		w.expect(w.join(last), "change o-5@, change o-6@")
		first := livefeed.Cursor{Tx: 2, ID: 2}.String()
		w.expect(w.join(first), "change o-2@, change o-3@, change o-4@, change o-5@, change o-6@")
	})
}

func TestBeginsAnewWithoutAPlaceToGoOnFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for tx := uint64(10); tx < 9000; tx++ {
			w.commit(tx)
		}
		for name, id := range map[string]string{
			"none": "", "no cursor": "7f0c4b", "hostile": strings.Repeat("z", 10_000), "negative": "-1.1",
			"too old":      livefeed.Cursor{Tx: 10, ID: 1}.String(),
			"ahead of all": livefeed.Cursor{Tx: 9500}.String(),
		} {
			if told, _ := w.next(w.join(id)); !strings.HasPrefix(told, "snapshot all") {
				t.Errorf("%s: told %.60q…, want a snapshot", name, told)
			}
		}
		if _, snapshots := w.counts(); snapshots > 2 {
			t.Errorf("%d snapshots were read for six clients", snapshots)
		}
	})
}

// TestAheadOfThisReplica: another replica has told more than this one has read.
func TestAheadOfThisReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.commit(1)
		w.next(w.join("")) // the ring ends here
		w.commit(2, 3)
		w.expect(w.join(livefeed.Cursor{Tx: 2, ID: 2}.String()), "change o-3@")
	})
}

// TestSlowClientBeginsAnew: who falls behind the ring is told how things stand,
// and every change after that once.
func TestSlowClientBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slow, quick := w.join(""), w.join("")
		w.next(slow)
		w.next(quick)
		told := 0
		for tx := uint64(1); tx <= 20_000; tx++ {
			w.commit(tx)
			if tx%1000 == 0 {
				text, _ := w.next(quick)
				told += strings.Count(text, "change")
			}
		}
		if told != 20_000 {
			t.Errorf("the quick client was told %d of 20,000 changes", told)
		}
		w.expect(slow, "snapshot all, live @")
		w.commit(20_001)
		w.expect(slow, "change o-20001@")
		if _, lost := w.hub.Clients(); lost != 1 {
			t.Errorf("%d clients fell behind, want 1", lost)
		}
	})
}

func TestReadsOnlyForClientsAndSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		<-time.After(time.Hour)
		if reads, _ := w.counts(); reads != 0 {
			t.Errorf("read %d times for nobody", reads)
		}
		s := w.join("")
		w.next(s)
		began, flushes := time.Now(), 0
		for tx := uint64(1); time.Since(began) < time.Second; tx++ {
			w.commit(tx)
			w.next(s)
			flushes++
		}
		if flushes > 11 {
			t.Errorf("told %d times in a second, want at most 10", flushes)
		}
		s.Close()
		<-time.After(time.Second)
		before, _ := w.counts()
		<-time.After(time.Hour)
		if after, _ := w.counts(); after != before {
			t.Errorf("read %d times after the last client left", after-before)
		}
	})
}

func TestJournalCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fail(errors.New("no database"))
		if _, err := w.hub.Subscribe(t.Context(), ""); !errors.Is(err, courier.ErrUnavailable) {
			t.Fatalf("joined with %v, want ErrUnavailable", err)
		}
		w.fail(nil)
		s := w.join("")
		w.next(s)
		w.fail(errors.New("no database"))
		<-time.After(time.Minute)
		w.commit(1, 2)
		w.fail(nil)
		w.expect(s, "change o-1@, change o-2@") // those who are here are not sent away
		if w.told.n < 2 || w.told.works == 0 {
			t.Errorf("told of %d failures and %d successes", w.told.n, w.told.works)
		}
	})
}

// TestJournalThatHangs keeps nobody: a client waits 3 s for its beginning and gives its
// place up then, and a round of reading ends after 5 s. Each fails without its guard.
func TestJournalThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hangs = true
		began := time.Now()
		_, err := w.hub.Subscribe(t.Context(), "")
		if took := time.Since(began); !errors.Is(err, courier.ErrUnavailable) || took != 3*time.Second {
			t.Errorf("joined with %v after %v, want ErrUnavailable after 3s", err, took)
		}
		if now, _ := w.hub.Clients(); now != 0 {
			t.Errorf("%d listen, want nobody", now)
		}
		<-time.After(3 * time.Second)
		synctest.Wait()
		if w.told.n != 1 {
			t.Errorf("told of %d failures after %v, want that of the round", w.told.n, time.Since(began))
		}
	})
}

// TestSnapshotIsForThoseWhoComeWithItOnly: whoever comes later is told how things stand
// then. It fails when a snapshot is good for ever.
func TestSnapshotIsForThoseWhoComeWithItOnly(t *testing.T) {
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

// TestClientsAreBounded: strangers cannot make this process serve any number. One that
// leaves makes room for one, however often it is closed.
func TestClientsAreBounded(t *testing.T) {
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
			if now, _ := w.hub.Clients(); !errors.Is(err, courier.ErrUnavailable) || now != most {
				t.Errorf("one more joined with %v, and %d listen; want ErrUnavailable and %d", err, now, most)
			}
		}
		full()
		first.Close()
		first.Close()
		w.join("")
		full()
	})
}

func TestEnds(t *testing.T) {
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
