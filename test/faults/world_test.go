package faults

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"service-courier/internal/app"
	"service-courier/internal/config"
	"service-courier/internal/courier"
	"service-courier/internal/dev/devkafka"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

const (
	topic      = "order.status.changed"
	partitions = 6
	// patience is longer than the timeout of a request that the embedded broker never
	// answers on a busy machine: Kafka's client retries it after 30 s.
	patience = time.Minute
	// orderPath is the path of an order.
	orderPath = "/public/api/v1/order/"
	listPath  = "/public/api/v1/orders"
	groupID   = "service-courier"
)

func TestMain(m *testing.M) {
	if command := os.Getenv(envReplica); command != "" {
		os.Exit(playReplica(command))
	}
	// The tests mostly wait. The command line is read later and takes precedence.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := pgtest.Main(m)
	if code == 0 {
		if err := goleak.Find(
			// sarama's metrics start one ticker for the whole process and never stop it.
			goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
			// sarama's circuit breaker sleeps ten seconds after an outage.
			goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
		); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is the environment of the service in one test.
type world struct {
	*testing.T
	database string // URL
	pool     *pgxpool.Pool
	kafka    *devkafka.Broker
	sim      *ordersim.Sim // service-order; its orders change only when the test changes them
	events   *publisher    // its events
	front    *front        // the address that the service uses
	logs     *logs

	uncommitted atomic.Bool // offsets are not committed, see stopOffsetCommit
}

// newWorld starts Kafka, a database and service-order, with available couriers.
func newWorld(t *testing.T, couriers int) *world {
	t.Helper()
	return newWorldOn(t, pgtest.NewDatabase(t, postgres.Migrate), couriers)
}

func newWorldOn(t *testing.T, database string, couriers int, neighbour ...func(*ordersim.Config)) *world {
	t.Helper()
	w := &world{T: t, database: database, logs: &logs{}}
	var err error
	w.kafka, err = devkafka.Start(t.Context(), devkafka.Config{
		Port: devkafka.AnyPort, Topics: map[string]int{topic: partitions, eventTopic: partitions}, Logger: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	t.Cleanup(func() { w.check(w.kafka.Stop(context.Background())) }) // the test's own context has ended
	w.events, err = newPublisher(w.kafka.Addr())
	w.must(err)
	t.Cleanup(w.events.Close)
	cfg := ordersim.Config{
		Publisher: w.events, Steps: ordersim.FrozenSteps(), Seed: 1,
		Logger: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, change := range neighbour {
		change(&cfg)
	}
	w.sim, err = ordersim.New(cfg)
	w.must(err)
	w.must(w.sim.Start(t.Context()))
	t.Cleanup(func() { w.check(w.sim.Stop(context.Background())) })
	w.front = newFront(t, w.sim.Handler())
	w.pool, err = postgres.Open(t.Context(), pgtest.Patient(database), 4)
	w.must(err)
	t.Cleanup(w.pool.Close)
	w.exec(`INSERT INTO couriers (name, phone, status, transport_type)
		SELECT 'c', i::text, 'available', 'car' FROM generate_series(1, $1::int) i`, couriers)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the service:\n%s", w.logs)
		}
	})
	return w
}

// seedOf returns and logs the seed of a random test.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := *oneSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return seed
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Error(err)
	}
}

// settings returns the configuration of a replica.
func (w *world) settings() config.Config {
	return config.Config{
		HTTPAddr: "127.0.0.1:0", DatabaseURL: w.database, KafkaBrokers: []string{w.kafka.Addr()}, KafkaTopic: topic,
		KafkaGroupID: groupID, OrderServiceURL: w.front.url(), ResyncInterval: time.Hour,
	}
}

// serve runs a replica until stop or the end of the test.
func (w *world) serve(change ...func(*config.Config)) (stop func()) {
	w.Helper()
	cfg := w.settings()
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	go func() { done <- app.Run(ctx, cfg, log) }()
	stop = sync.OnceFunc(func() {
		cancel()
		w.check(<-done)
	})
	w.Cleanup(stop)
	return stop
}

// resyncEvery sets the resync interval of a replica.
func resyncEvery(d time.Duration) func(*config.Config) {
	return func(c *config.Config) { c.ResyncInterval = d }
}

// create creates n orders in service-order and returns their ids.
func (w *world) create(n int) []string {
	w.Helper()
	ids := make([]string, n)
	for i := range ids {
		o, err := w.sim.Create()
		w.must(err)
		ids[i] = o.ID
	}
	return ids
}

func (w *world) setStatus(status string, ids ...string) {
	w.Helper()
	for _, id := range ids {
		w.must(w.sim.SetStatus(id, status))
	}
}

func (w *world) delete(ids ...string) {
	w.Helper()
	for _, id := range ids {
		w.must(w.sim.Delete(id))
	}
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.pool.Exec(w.Context(), sql, args...); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	if err := w.pool.QueryRow(w.Context(), sql, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	return n
}

// dueNow makes every pending recheck due, also the leased ones: claiming a recheck
// twice does no harm.
const dueNow = `WITH later AS (SELECT order_id FROM orders WHERE recheck_at > now() ORDER BY order_id FOR UPDATE)
	UPDATE orders o SET recheck_at = now() FROM later WHERE o.order_id = later.order_id`

func (w *world) makeRechecksDue() {
	w.Helper()
	w.exec(dueNow)
}

func (w *world) one(sql string) (text string) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), sql).Scan(&text))
	return text
}

// inState counts the orders in a state.
func (w *world) inState(state courier.State) int {
	w.Helper()
	return w.count("SELECT count(*) FROM orders WHERE state = $1", state)
}

func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			w.Fatalf("not within %v: %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// converges waits until every order in the database is up to date with service-order,
// and fails when an invariant is violated.
func (w *world) converges() {
	w.Helper()
	w.allPublished()
	var wrong []string
	defer func() {
		for _, one := range wrong {
			w.Log(one)
		}
	}()
	w.eventually("the database is up to date with service-order", func() bool {
		wrong = w.differences()
		return len(wrong) == 0
	})
	w.invariantsHold()
}

// differences describes the orders that are not up to date with service-order.
func (w *world) differences() (wrong []string) {
	w.Helper()
	rows, err := w.pool.Query(w.Context(), "SELECT order_id, state FROM orders")
	if err != nil {
		return []string{err.Error()} // the test may have broken the database
	}
	states := make(map[string]courier.State)
	for rows.Next() {
		var id string
		var state courier.State
		w.must(rows.Scan(&id, &state))
		states[id] = state
	}
	if rows.Err() != nil {
		return []string{rows.Err().Error()}
	}
	free := w.count("SELECT count(*) FROM couriers WHERE status = 'available'")
	for id, status := range w.sim.Truth() {
		state, class := states[id], courier.ClassOf(status)
		upToDate := state.Class() == class && (state != courier.StateWaiting || free == 0)
		if !upToDate {
			wrong = append(wrong, fmt.Sprintf("%s is %s in service-order and %q in the database", id, status, state))
		}
	}
	return wrong
}

func (w *world) invariantsHold() {
	w.Helper()
	violations, err := postgres.CheckInvariants(w.Context(), w.pool)
	w.must(err)
	for _, v := range violations {
		w.Errorf("%s: %s", v.Invariant, v.Subject)
	}
}

// logs is the log of all replicas.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// times returns how often text was logged.
func (l *logs) times(text string) int { return strings.Count(l.String(), text) }
