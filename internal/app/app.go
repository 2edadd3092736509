// Package app is the runtime of the service: it wires all packages, starts the
// service and stops it.
package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/config"
	"service-courier/internal/gateway/order"
	"service-courier/internal/metrics"
	"service-courier/internal/outage"
	"service-courier/internal/phone"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/tracing"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
	"service-courier/internal/transport/web"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/outbox"
	"service-courier/internal/usecase/records"
	"service-courier/internal/usecase/statistics"
	"service-courier/internal/worker"
)

// Limits of one process.
const (
	poolConns    = 12          // to PostgreSQL, of consumption and the periodic tasks
	apiPoolConns = 8           // to PostgreSQL, of the API's requests
	fetchTimeout = time.Second // of one GET of service-order
	orderConns   = 256         // GETs at a time, of all batches together
	batchGETs    = 128         // GETs at a time, of one batch
	batchWorkers = 3           // batches at a time: one fetches, one saves, one matches
)

const (
	// stopTimeout bounds Stop.
	stopTimeout = 5 * time.Second
	// startupReportAfter is enough for a start in which every component answers.
	startupReportAfter = 5 * time.Second
	// restartAfter is the pause before the consumer starts again after a panic.
	restartAfter = time.Second
)

// App is the service: everything between Kafka, service-order and PostgreSQL.
type App struct {
	cfg          config.Config
	log          *slog.Logger
	database     *outage.Dependency
	brokers      *outage.Dependency // Kafka
	schema       *outage.Reporter   // of PostgreSQL, which the service waits for when it starts
	pool         *pgxpool.Pool      // of consumption and the tasks, which do not wait for the API
	apiPool      *pgxpool.Pool      // of the API's requests
	httpClient   *order.HTTPClient
	breaker      *order.Breaker          // around httpClient
	dual         *order.DualClient       // breaker and gRPC; nil without gRPC
	orderService orderevent.OrderService // dual, or breaker without gRPC
	metrics      *metrics.Metrics
	history      *metrics.History
	orderStore   *postgres.Orders
	batcher      *orderevent.Batcher
	matcher      *orderevent.Matcher
	consumer     *kafka.Consumer
	events       outbox.Publisher // nil without KAFKA_ASSIGNMENT_TOPIC
	resyncer     *worker.Resyncer
	orders       *orders.Orders
	readiness    readiness
	feed         *livefeed.Hub
	http         *rest.Server
	eventsAddr   string // of the events page; "" without one
	closers      Closers
}

// Option changes what New wires.
type Option func(*rest.Dependencies)

// WithPlayground serves the Playground's API under /dev/v1/. `serve` has none.
func WithPlayground(h http.Handler) Option {
	return func(d *rest.Dependencies) { d.Playground = h }
}

// New wires the service and connects to nothing. The caller must call Stop.
func New(ctx context.Context, cfg config.Config, log *slog.Logger, options ...Option) (_ *App, err error) {
	a := &App{cfg: cfg, log: log, metrics: metrics.New()}
	a.history = metrics.NewHistory(a.metrics)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop(ctx))
		}
	}()
	spans, err := tracing.Open(ctx, cmp.Or(cfg.OTLPTraces, cfg.OTLPEndpoint), log)
	if err != nil {
		return nil, err
	}
	a.closers.Add("tracing", func(ctx context.Context) error { spans.Close(ctx); return nil })
	var traceRequests func(http.Handler) http.Handler
	if spans != nil {
		traceRequests = spans.Server
	}
	if err := a.connectOrderService(cfg, spans, log); err != nil {
		return nil, err
	}
	callers, err := loadCallers(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	phones, err := phone.NewReader(cfg.PhoneRegion)
	if err != nil {
		return nil, err
	}
	a.database = outage.NewDependency(outage.New(log, "postgresql"), postgres.Down).OrImpaired(postgres.Impaired)
	a.brokers = outage.NewDependency(outage.New(log, "kafka"), kafka.Down)
	a.schema = outage.New(log, "database schema")
	if a.pool, err = a.openPool(ctx, poolConns); err != nil {
		return nil, err
	}
	if a.apiPool, err = a.openPool(ctx, apiPoolConns); err != nil {
		return nil, err
	}

	observer := observerOf(a.metrics, spans)
	a.orderStore = postgres.NewOrders(a.pool)
	a.matcher = orderevent.NewMatcher(postgres.NewMatching(a.pool), observer)
	reconcile := func(store orderevent.Store) *orderevent.Reconciler {
		return orderevent.NewReconciler(a.orderService, store, a.matcher, observer, log, batchGETs)
	}
	reconciler := reconcile(a.orderStore)
	a.batcher = orderevent.NewBatcher(reconciler, a.matcher, batchWorkers)
	a.resyncer = worker.NewResyncer(a.breaker.Watch(a.httpClient), postgres.NewResync(a.pool), a.batcher, log)
	a.consumer = kafka.NewConsumer(KafkaConfig(cfg), a.batcher, a.metrics, resetObserver{a.metrics, a.resyncer}, log)
	a.consumer.Needs(a.database, a.brokers)
	if cfg.KafkaAssignmentTopic != "" {
		producer := kafka.NewEventProducer(eventsConfig(cfg), a.metrics, log)
		a.closers.Add("outbox", func(context.Context) error { return producer.Close() })
		a.events = producer
		if spans != nil {
			a.events = spans.Publisher(producer)
		}
		a.metrics.RegisterOutbox(postgres.NewOutbox(a.pool).Lag) //nolint:contextcheck // a scrape has none
	}
	a.orders = orders.New(postgres.NewOrderViews(a.pool), reconciler)
	a.readiness = readiness{a.pool, a.consumer, a.breaker, a.contain}
	a.feed = livefeed.NewHub(postgres.NewJournal(a.pool), rest.StreamEncoder{}, outage.New(log, "live feed").On(a.database), log)

	a.metrics.RegisterDatabase(a.containGauges(readGauges(a.pool)), readPools(map[string]*pgxpool.Pool{"consumption": a.pool, "api": a.apiPool}))
	a.metrics.RegisterBreaker(a.breaker.Tripped)
	a.metrics.RegisterConsumer(a.consumer.Status)
	a.metrics.RegisterStream(a.feed.Subscribers)

	recordReader := kafka.NewRecords(KafkaConfig(cfg))
	a.closers.Add("record reader", func(context.Context) error { recordReader.Close(); return nil })
	var assignments records.Topic
	if cfg.KafkaAssignmentTopic != "" {
		reader := kafka.NewRecords(eventsConfig(cfg))
		a.closers.Add("event reader", func(context.Context) error { reader.Close(); return nil })
		assignments = reader
	}
	apiCouriers := couriers.New(postgres.NewCouriers(a.apiPool), phones, a.matcher.Trigger)
	apiOrders := orders.New(postgres.NewOrderViews(a.apiPool), reconcile(postgres.NewOrders(a.apiPool)))
	reported := outages{a.database, a.brokers, a.schema, a.breaker}.reported
	served := rest.Dependencies{
		Callers:     callers,
		Couriers:    apiCouriers,
		Orders:      apiOrders,
		Statistics:  statistics.New(postgres.NewStatistics(a.apiPool), time.Now),
		Readiness:   a.readiness,
		History:     history{a.history},
		Metrics:     a.metrics.Handler(),
		Stream:      a.feed,
		Requests:    a.metrics,
		Trace:       traceRequests,
		Log:         log,
		Reported:    reported,
		Consumption: consumerStatus{KafkaConfig(cfg), a.breaker, postgres.NewHealth(a.pool), cfg.KafkaAssignmentTopic, postgres.NewOutbox(a.pool)},
		AsyncAPI:    kafka.AsyncAPI,
		Web:         web.Handler(),
		Plain:       web.NewPlain(apiOrders, apiCouriers, log, reported),
		Records:     records.New(recordReader, postgres.NewRecords(a.apiPool, cfg.KafkaTopic), assignments),
		DeadLetters: redriver{deadletters.New(postgres.NewDeadLetters(a.apiPool)), KafkaConfig(cfg), log},
	}
	for _, apply := range options {
		apply(&served)
	}
	a.http = rest.New(rest.Config{Addr: cfg.HTTPAddr, AllowedHosts: cfg.HTTPAllowedHosts, RateLimit: cfg.RateLimit, MaxConnections: apiConnections()}, served)
	return a, nil
}

// openPool opens database connections. Closing them waits until every connection is
// returned. When the context ends first, the connections end with the process.
func (a *App) openPool(ctx context.Context, conns int) (*pgxpool.Pool, error) {
	pool, err := postgres.Open(ctx, a.cfg.DatabaseURL, conns)
	if err != nil {
		return nil, err
	}
	a.closers.Add("database connections", func(ctx context.Context) error {
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			pool.Close()
		}()
		select {
		case <-closed:
		case <-ctx.Done():
		}
		return nil
	})
	return pool, nil
}

// Start listens on the configured addresses and starts the background work. It
// fails only when an address cannot be had; absent components are waited for.
func (a *App) Start(ctx context.Context) error {
	if err := a.http.Start(ctx); err != nil {
		return err
	}
	a.closers.Add("HTTP server", a.http.Stop)
	if err := a.startPprof(ctx); err != nil {
		return err
	}
	if err := a.startEvents(ctx); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "listening", slog.String("addr", a.http.Addr()))

	backgroundCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { a.contain(backgroundCtx, "startup report", a.reportUnavailable) })
	background.Go(func() { a.contain(backgroundCtx, "live feed", a.feed.Run) })
	background.Go(func() { a.contain(backgroundCtx, "health history", a.history.Run) })
	background.Go(func() { a.work(backgroundCtx) })
	a.closers.Add("background work", func(stop context.Context) error {
		cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			background.Wait()
		}()
		select {
		case <-done:
			return nil
		case <-stop.Done():
			return errors.New("the batch in progress did not finish in time; its events will be read again")
		}
	})
	return nil
}

// Stop ends the consumer, which finishes its batch, marks it and leaves the group,
// while the HTTP server drains; then it closes everything else. It takes at most
// stopTimeout, also when ctx has ended. Further calls return the same error.
func (a *App) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if a.http != nil {
		go func() { _ = a.http.Stop(ctx) }() // its closer waits for the same stop
	}
	return a.closers.Close(ctx)
}

// Addr returns the address of the API; "" before Start.
func (a *App) Addr() string { return a.http.Addr() }

// Failed receives the error if the API cannot be served any more; stop the service then.
func (a *App) Failed() <-chan error { return a.http.Failed() }

// Ready reports whether /readyz would answer 200.
func (a *App) Ready(ctx context.Context) bool {
	return !slices.ContainsFunc(a.readiness.Check(ctx), func(c rest.Component) bool { return !c.OK && !c.Optional })
}

// reportUnavailable logs the components that are unavailable after the start together,
// since consumption waits for them one after another.
func (a *App) reportUnavailable(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(startupReportAfter):
	}
	check, cancel := context.WithTimeout(ctx, 2*fetchTimeout)
	defer cancel()
	var unavailable []string
	for _, component := range a.readiness.Check(check) {
		if !component.OK {
			unavailable = append(unavailable, component.Name)
		}
	}
	if len(unavailable) > 0 && ctx.Err() == nil {
		a.log.InfoContext(ctx, "components unavailable, waiting", slog.Any("components", unavailable))
	}
}

// work waits for the schema, then consumes and runs the periodic tasks until ctx
// ends.
func (a *App) work(ctx context.Context) {
	var hasOrders, ok bool
	for a.contain(ctx, "schema check", func(ctx context.Context) { hasOrders, ok = a.awaitSchema(ctx) }) && ctx.Err() == nil {
		time.Sleep(restartAfter)
	}
	if !ok {
		return
	}
	// Batches and matching outlive the consumer, which still finishes its last batch.
	batchCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { a.batcher.Run(batchCtx) })
	wg.Go(func() { worker.Run(batchCtx, a.metrics, a.log, a.onDatabase(worker.Matching(a.matcher))...) })
	wg.Go(func() { worker.Run(ctx, a.metrics, a.log, a.onDatabase(a.periodicTasks()...)...) })
	for a.contain(ctx, "consumer", func(ctx context.Context) { a.consumer.Run(ctx, hasOrders) }) && ctx.Err() == nil {
		time.Sleep(restartAfter)
	}
	stop()
	wg.Wait()
}

// contain runs a component of the service and reports whether it panicked, so that a
// fault in one component does not end the process.
func (a *App) contain(ctx context.Context, component string, run func(context.Context)) (panicked bool) {
	defer func() {
		if p := recover(); p != nil {
			panicked = true
			a.log.ErrorContext(ctx, "panic recovered", slog.String("component", component), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			a.metrics.Panicked()
		}
	}()
	run(ctx)
	return false
}

// containGauges returns read with its panics as errors: a scrape reads in a goroutine of
// Prometheus' own.
func (a *App) containGauges(read func(context.Context) (metrics.Gauges, error)) func(context.Context) (metrics.Gauges, error) {
	return func(ctx context.Context) (gauges metrics.Gauges, err error) {
		if a.contain(ctx, "metrics", func(ctx context.Context) { gauges, err = read(ctx) }) {
			err = errPanicked
		}
		return gauges, err
	}
}

var errPanicked = errors.New("panic recovered")

// awaitSchema waits for PostgreSQL and its schema, which `serve` never creates,
// and reports whether the service has processed events before. It returns !ok when
// ctx ends first.
func (a *App) awaitSchema(ctx context.Context) (hasOrders, ok bool) {
	database := outage.New(a.log, "postgresql").On(a.database)
	for {
		err := postgres.CheckSchema(ctx, a.pool)
		if err == nil {
			hasOrders, err = postgres.NewHealth(a.pool).HasOrders(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return false, false
		case err == nil:
			database.Recovered(ctx)
			a.schema.Recovered(ctx)
			return hasOrders, true
		case errors.Is(err, postgres.ErrSchema):
			database.Recovered(ctx)
			a.schema.Failed(ctx, err)
		default:
			database.Failed(ctx, err)
		}
		select {
		case <-ctx.Done():
			return false, false
		case <-time.After(time.Second):
		}
	}
}
