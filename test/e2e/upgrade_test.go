package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"service-courier/internal/devstack/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/test/realkafka"
)

// upgraded is a service of two versions under load.
type upgraded struct {
	*stack
	old, new string    // paths of the programs
	all      []replica // in the order of their start
}

// replica is a service of one version, on the group and database of the others.
type replica struct {
	instance
	version string
	seen    *stack // the world as it is seen at this replica's address
}

// rollingUpgrade: production runs version N−1; N's schema is made beneath it, and
// replicas are exchanged one by one, under load, then rolled back to N−1 on the
// schema of N. At every step each replica gets on with its work, and in the end
// the database says what service-order says. A migration that the old version
// cannot live with, such as a column of the journal that is NOT NULL without a
// default, fails it: no order ends.
func rollingUpgrade(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	s := newStack(t, broker.Addr(), pgtest.NewDatabase(t, nil))
	if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	u := &upgraded{stack: s, old: previousProgram(t), new: binary(t, "service-courier")}
	u.migrateWith(u.old)
	before := u.schema()
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.2", "--publish-delay", "100ms", "--seed", "3")
	a, b := u.join("old", u.old), u.join("old", u.old)
	stop, orders := u.steady()
	u.work("the old version works", a, b)

	u.migrateWith(u.new)
	t.Logf("schema %d before, %d after", before, u.schema())
	u.work("the old version works on the new schema", a, b)
	c := u.join("new", u.new)
	u.work("both versions work together", a, b, c)
	u.leave(a)
	d := u.join("new", u.new)
	u.leave(b)
	u.work("the new version works", c, d)

	e := u.join("old", u.old)
	u.work("the old version is back", c, d, e)
	u.leave(c)
	u.leave(d)
	u.work("the old version works alone, on the new schema", e)

	stop()
	// Orders may complete while a partition changes hands: those have no delivery.
	u.ends(orders.wait(), true)
	u.nothingFailed()
}

// migrateWith makes the schema with a program's own command.
func (u *upgraded) migrateWith(path string) {
	u.Helper()
	i := u.run(path, []string{"DATABASE_URL=" + u.database}, "migrate", "up")
	<-i.Done()
	if code := i.ExitCode(); code != 0 {
		u.Fatalf("migrate up ended with exit code %d:\n%s", code, i.tail())
	}
}

func (u *upgraded) schema() int64 {
	u.Helper()
	return u.count("select max(version_id) from goose_db_version where is_applied")
}

// join starts one more replica and waits until it is ready.
func (u *upgraded) join(version, path string) replica {
	u.Helper()
	seen := *u.stack
	seen.serviceAddr = freeAddr(u.T)
	r := replica{u.run(path, seen.settings(), "serve"), version, &seen}
	u.all = append(u.all, r)
	u.eventually("a replica of the "+version+" version is ready", seen.ready)
	return r
}

// leave ends a replica as a roll-out does.
func (u *upgraded) leave(r replica) {
	u.Helper()
	if err := r.Stop(stopWithin); err != nil {
		u.Errorf("the %s version: %v", r.version, err)
	}
}

// work waits until each replica has reconciled some more, with no promise broken.
func (u *upgraded) work(what string, replicas ...replica) {
	u.Helper()
	const some = 40
	began := time.Now()
	enough := make([]float64, len(replicas))
	for i, r := range replicas {
		done, err := r.seen.reconciled()
		if err != nil {
			u.Fatalf("%s: %v", what, err)
		}
		enough[i] = done + some
	}
	u.eventually(what, func() error {
		var errs []error
		for i, r := range replicas {
			done, err := r.seen.reconciled()
			if err == nil && done < enough[i] {
				err = fmt.Errorf("replica %d, of the %s version, has reconciled %v, wants %v", i, r.version, done, enough[i])
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	u.eventually("no promise is broken", func() error {
		if err := postgres.CheckSchema(u.Context(), u.pool); errors.Is(err, postgres.ErrNoSchema) {
			return nil // the checker reads N's schema, which is not made yet
		}
		violations, err := postgres.CheckInvariants(u.Context(), u.pool)
		return errors.Join(err, want(0, len(violations)))
	})
	u.Logf("%s (%v)", what, time.Since(began).Round(time.Millisecond))
}

// steady makes orders, and deletes some of them, until it is told to stop.
func (u *upgraded) steady() (stop func(), orders *traffic) {
	const aSecond, cancelled = 80, 0.3
	told, stop := context.WithCancel(u.Context())
	luck := rand.New(rand.NewPCG(3, 4))
	return stop, u.customers(1, func(ctx context.Context) (ids []string, err error) {
		next := time.NewTicker(time.Second / aSecond)
		defer next.Stop()
		for {
			select {
			case <-told.Done():
				return ids, nil
			case <-next.C:
			}
			id, err := u.post(ctx)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
			if luck.Float64() < cancelled {
				if err := u.cancel(ctx, ids[luck.IntN(len(ids))]); err != nil {
					return nil, err
				}
			}
		}
	})
}

// nothingFailed sees that no replica was refused anything by the database, and
// that no record was given up.
func (u *upgraded) nothingFailed() {
	u.Helper()
	if n := u.count("select count(*) from dead_letters"); n != 0 {
		u.Errorf("%d dead letters", n)
	}
	for _, r := range u.all {
		for _, l := range r.lines() {
			if l.Level == "ERROR" || strings.Contains(l.Error, "SQLSTATE") {
				u.Errorf("the %s version logged: %+v", r.version, l)
			}
		}
	}
}
