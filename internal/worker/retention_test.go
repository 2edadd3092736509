package worker

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// journal has so many old rows, and keeps the ages with which they were removed.
type journal struct {
	rows int
	ages []time.Duration
}

func (j *journal) remove(_ context.Context, age time.Duration, limit int) (rows, orders int, err error) {
	j.ages = append(j.ages, age)
	rows = min(j.rows, limit)
	j.rows -= rows
	return rows, rows / 3, nil
}

// TestRetentionIsNeverShorterThanTheTopics: an order outlives every event about it that
// Kafka keeps. It fails when the topic's retention is ignored.
func TestRetentionIsNeverShorterThanTheTopics(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		topic time.Duration
		err   error
		want  []time.Duration // the age of each batch
		log   string
	}{
		{"the topic keeps less", day, nil, []time.Duration{30 * day, 30 * day, 30 * day}, ""},
		{"the topic keeps more", 60 * day, nil, []time.Duration{60*day + time.Hour, 60*day + time.Hour, 60*day + time.Hour}, "retention shorter than topic retention"},
		{"the topic keeps forever", -1, nil, nil, "retention disabled by topic settings"},
		{"Kafka is unavailable", 0, errors.New("no broker"), nil, "no broker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				j := &journal{rows: 1200}
				r := Retention{
					Age: 30 * day, Remove: j.remove, Log: logTo(&log),
					TopicAge: func(context.Context) (time.Duration, error) { return c.topic, c.err },
				}
				runFor(t, time.Minute, logTo(&log), r.Task(&lock{}))
				if !slices.Equal(j.ages, c.want) {
					t.Errorf("removed with ages %v, want %v", j.ages, c.want)
				}
				if !strings.Contains(log.String(), c.log) || c.log == "" && strings.Contains(log.String(), "WARN") {
					t.Errorf("log %q, want %q in it", log.String(), c.log)
				}
			})
		})
	}
}

// TestPurgeRunsAtOnceAndEveryHour, and goes on after an outage.
func TestPurgeRunsAtOnceAndEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		removed := []int{7, -1, -1, 0, 3} // in each round; -1 is a failure
		purge := func(context.Context) (int, error) {
			if len(removed) == 0 {
				return 0, nil
			}
			n := removed[0]
			removed = removed[1:]
			if n < 0 {
				return 0, errors.New("database unavailable")
			}
			return n, nil
		}
		runFor(t, 4*cleanupInterval+time.Minute, logTo(&log), PurgeDeadLetters(purge, logTo(&log)))
		if len(removed) != 0 {
			t.Errorf("%d of 5 rounds are left after four hours", len(removed))
		}
		if n := strings.Count(log.String(), "\n"); n != 4 || !strings.Contains(log.String(), "dead_letters=7") {
			t.Errorf("want two removals, an outage and its end; log:\n%s", log.String())
		}
	})
}
