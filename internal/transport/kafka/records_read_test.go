package kafka

import (
	"errors"
	"testing"
	"time"

	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/records"
)

// TestRecordsOfAStoppedBroker: a failure to read is not one to publish.
func TestRecordsOfAStoppedBroker(t *testing.T) {
	r := NewRecords(Config{Brokers: []string{"127.0.0.1:1"}, Topic: topic})
	defer r.Close()
	_, err := r.Read(t.Context(), records.Latest(1))
	if !errors.Is(err, records.ErrNotRead) || errors.Is(err, deadletters.ErrNotPublished) {
		t.Errorf("%v, want %v", err, records.ErrNotRead)
	}
}

// readsRecords: reads share one client, which closes when it is idle; they need no consumer
// group, and see what it has committed.
func readsRecords(b fixture) {
	b.produce(events(0, 5*partitions)...)
	r := NewRecords(b.cfg)
	defer r.Close()
	read := func(committed bool) {
		b.Helper()
		found, err := r.Read(b.Context(), records.Query{Partition: 0, Offset: -1, Limit: 3})
		if err != nil || len(found) != 3 {
			b.Fatalf("read %d records: %v", len(found), err)
		}
		if last := found[2]; last.Offset != 4 || last.Committed != committed {
			b.Errorf("the last record: %+v", last)
		}
	}
	client := func() any {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.client == nil {
			return nil
		}
		return r.client
	}
	for year, want := range map[int]int{1: 5, 244: 5, 1969: 5, 1970: 5, 9999: 0} { // Kafka's times begin in 1970
		found, err := r.Read(b.Context(), records.Query{Partition: 0, Offset: -1, Limit: 9, Since: time.Date(year, 12, 31, 23, 59, 59, 999e6, time.UTC)})
		if err != nil || len(found) != want {
			b.Errorf("%d records since the year %d, want %d: %v", len(found), year, want, err)
		}
	}
	read(false)
	first := client()
	var s sink
	stop := b.consume(&s)
	b.eventually("every order is submitted", func() bool { return s.orders() == 5*partitions })
	stop()
	read(true)
	if client() != first {
		b.Error("the second read did not use the client of the first")
	}
	r.mu.Lock()
	r.idle = time.Millisecond
	r.mu.Unlock()
	read(true)
	b.eventually("the idle client closes", func() bool { return client() == nil })
	read(true)
}
