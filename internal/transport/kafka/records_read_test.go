package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/outbox"
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

// TestEventsMayNotBeRead: publishing needs WRITE alone, so reading the events names the right
// that it needs.
func TestEventsMayNotBeRead(t *testing.T) {
	acl := kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true}
	readable := acl
	readable.Operation = kmsg.ACLOperationRead
	k := kfakeWith(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-512", "writer", "p", acl), kfake.User("SCRAM-SHA-512", "reader", "p", acl, readable), kfake.User("SCRAM-SHA-512", "none", "p"))
	security := func(user string) Security {
		return Security{Mechanism: "SCRAM-SHA-512", Username: user, Password: "p"}
	}
	p, _, _ := newEventProducer(t, k.ListenAddrs()[0], topic)
	p.cfg.Security = security("writer")
	if err := p.Publish(t.Context(), []outbox.Event{courierEvent("a", 1)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		user string
		is   error
	}{
		{"writer", records.ErrForbidden},
		{"none", records.ErrForbidden},
		{"reader", nil},
	} {
		r := NewRecords(Config{Brokers: k.ListenAddrs(), Topic: topic, Security: security(c.user)})
		defer r.Close()
		found, err := r.Read(t.Context(), records.Latest(5))
		if !errors.Is(err, c.is) || err != nil && !strings.Contains(err.Error(), "allow this user to READ the topic of KAFKA_ASSIGNMENT_TOPIC") || err == nil && len(found) != 1 {
			t.Errorf("%s: %d records, %v; want %v", c.user, len(found), err, c.is)
		}
	}
}

// readsEvents: the events as published, with their headers, without a consumer group.
func readsEvents(b fixture) {
	p, _, _ := newEventProducer(b.T, b.addr, b.cfg.Topic)
	if err := p.Publish(b.Context(), []outbox.Event{courierEvent("a", 1), courierEvent("a", 2)}); err != nil {
		b.Fatal(err)
	}
	r := NewRecords(Config{Brokers: b.cfg.Brokers, Topic: b.cfg.Topic})
	defer r.Close()
	found, err := r.Read(b.Context(), records.Latest(5))
	if err != nil || len(found) != 2 || r.Name() != b.cfg.Topic {
		b.Fatalf("read %d records of %s: %v", len(found), r.Name(), err)
	}
	for i, got := range found {
		id := fmt.Sprintf("a.%d", i+1)
		if string(got.Key) != "a" || !strings.Contains(string(got.Value), `"event_id":"`+id+`"`) || got.Committed ||
			!slices.ContainsFunc(got.Headers, func(h deadletters.Header) bool { return string(h.Key) == "ce_id" && string(h.Value) == id }) {
			b.Errorf("event %d: %+v", i, got)
		}
	}
	missing := NewRecords(Config{Brokers: b.cfg.Brokers, Topic: "mistyped"})
	defer missing.Close()
	if _, err := missing.Read(b.Context(), records.Latest(5)); !errors.Is(err, records.ErrNotRead) || !strings.Contains(err.Error(), "KAFKA_ASSIGNMENT_TOPIC") {
		b.Errorf("a missing topic: %v", err)
	}
}
