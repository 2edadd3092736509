package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/config"
	"service-courier/internal/gateway/order"
	"service-courier/internal/metrics"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/tracing"
	"service-courier/internal/transport/kafka"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/delivery"
	"service-courier/internal/usecase/livefeed"
	"service-courier/internal/usecase/orderevent"
	"service-courier/internal/usecase/orders"
	"service-courier/internal/usecase/statistics"
	"service-courier/internal/worker"
)

// What the service takes of the machine.
const (
	databaseConns = 12
	orderTimeout  = time.Second // of one GET
	orderConns    = 256         // GETs at a time, of all batches together
	batchGETs     = 128         // GETs at a time, of one batch
	batchWorkers  = 3           // batches at a time: while one GETs, another saves and the third matches
)

// stopTimeout bounds a graceful stop, whatever hangs.
const stopTimeout = 5 * time.Second

// service is everything between Kafka, service-order and PostgreSQL.
type service struct {
	log        *slog.Logger
	spans      *tracing.Tracing // nil: there are none
	pool       *pgxpool.Pool
	orders     *order.HTTPClient
	breaker    *order.Breaker
	metrics    *metrics.Metrics
	looks      orderevent.Looks
	coalescer  *orderevent.Coalescer
	matcher    *orderevent.Matcher
	consumer   *kafka.Consumer
	sweeper    *worker.Sweeper
	sweepEvery time.Duration
	deliveries *delivery.Deliveries
	late       worker.Deadlines // nil: late deliveries stay as they are
	old        *worker.Old      // nil: everything is kept
	readiness  readiness
	feed       *livefeed.Hub
	http       *rest.Server
	pprofAddr  string // "": no profiles
}

// resets hears that the group's place in the topic was lost: that is counted, and
// a sweep looks for what went with the records that nobody read.
type resets struct {
	metrics *metrics.Metrics
	sweeper *worker.Sweeper
}

// Reset implements kafka.ResetObserver.
func (r resets) Reset(cause string, records int64) {
	r.metrics.Reset(cause, records)
	r.sweeper.Wake()
}

// newService wires the service. It connects to nothing yet.
func newService(ctx context.Context, cfg config.Config, log *slog.Logger) (*service, error) {
	spans, err := tracing.Open(ctx, cmp.Or(cfg.OTLPTraces, cfg.OTLPEndpoint), log)
	if err != nil {
		return nil, err
	}
	var aroundGets func(http.RoundTripper) http.RoundTripper
	var aroundHTTP func(http.Handler) http.Handler
	if spans != nil {
		aroundGets, aroundHTTP = spans.Client, spans.Server
	}
	client, err := order.NewHTTPClient(order.Config{BaseURL: cfg.OrderServiceURL, Timeout: orderTimeout, Concurrency: orderConns, Wrap: aroundGets})
	if err != nil {
		return nil, err
	}
	callers, err := callersOf(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, databaseConns)
	if err != nil {
		return nil, err
	}
	counted := metrics.New()
	told := observerOf(counted, spans)
	breaker := order.NewBreaker(counted.MeasureGets(client), log)
	counted.WatchState(stateOf(pool), poolOf(pool))
	counted.WatchBreaker(breaker.Tripped)
	records := postgres.NewOrders(pool)
	matcher := orderevent.NewMatcher(postgres.NewLine(pool), told)
	reconciler := orderevent.NewReconciler(breaker, records, matcher, told, log, batchGETs)
	coalescer := orderevent.NewCoalescer(reconciler.Reconcile, matcher.Follow, batchWorkers, counted.Shared)
	sweeper := worker.NewSweeper(client, postgres.NewSweep(pool), breaker, coalescer, log)
	consumer := kafka.NewConsumer(kafkaConfig(cfg), coalescer, counted, resets{counted, sweeper}, log)
	counted.WatchConsumer(consumer.Status)
	deliveries := delivery.New(reconciler)
	var late worker.Deadlines
	if cfg.DeliveryOverdue == config.OverdueRelease {
		late = records
	}
	var old *worker.Old
	if cfg.Retention > 0 {
		old = &worker.Old{Records: postgres.NewRetention(pool), Age: cfg.Retention, Kept: topicKeeps(cfg), Log: log}
	}
	ready := readiness{pool, consumer, client}
	feed := livefeed.NewHub(postgres.NewJournal(pool), rest.StreamEncoder{}, outage.New(log, "live feed"))
	counted.WatchStream(feed.Clients)
	return &service{
		log: log, spans: spans, pool: pool, orders: client, breaker: breaker, metrics: counted, looks: records, coalescer: coalescer, matcher: matcher, consumer: consumer,
		sweeper:    sweeper,
		sweepEvery: cfg.SweepInterval,
		deliveries: deliveries,
		late:       late,
		old:        old,
		readiness:  ready,
		feed:       feed,
		pprofAddr:  cfg.PprofAddr,
		http: rest.New(rest.Config{Addr: cfg.HTTPAddr, OwnName: cfg.Private(), RateLimit: cfg.RateLimit}, rest.Dependencies{
			Callers:     callers,
			Couriers:    couriers.New(postgres.NewCouriers(pool), matcher.Wake),
			Deliveries:  deliveries,
			Orders:      orders.New(postgres.NewOrderViews(pool), deliveries),
			Statistics:  statistics.New(postgres.NewStatistics(pool), time.Now),
			Readiness:   ready,
			Metrics:     counted.Handler(),
			Stream:      feed,
			Requests:    counted,
			Trace:       aroundHTTP,
			Log:         log,
			Consumption: consumption{kafkaConfig(cfg), breaker, postgres.NewHealth(pool)},
			DeadLetters: redriver{deadletters.New(postgres.NewDeadLetters(pool)), kafkaConfig(cfg), log},
		}),
	}, nil
}

// run serves until ctx ends, then stops: first the consumer, which finishes
// the batch in hand, marks and leaves the group; then what worked for it. It
// fails only when the HTTP address cannot be had; whatever else is absent is
// waited for.
func (s *service) run(ctx context.Context) error {
	defer s.orders.Close()
	defer s.spans.Close(ctx)
	err := s.http.Start(ctx)
	if err == nil {
		err = servePprof(ctx, s.pprofAddr, s.log)
	}
	if err != nil {
		s.pool.Close()
		return errors.Join(err, s.http.Stop(ctx))
	}
	s.log.InfoContext(ctx, "listening", slog.String("addr", s.http.Addr()))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		var telling sync.WaitGroup
		telling.Go(func() { s.tellAbsent(ctx) })
		telling.Go(func() { s.feed.Run(ctx) })
		s.work(ctx)
		telling.Wait()
	}()
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- s.http.Stop(stop) }()
	select {
	case <-finished:
		err := <-answered
		s.pool.Close() // last: it would wait for whoever still uses it
		return err
	case <-stop.Done():
		return errors.Join(errors.New("the batch in hand did not end in time; its events will be read again"), <-answered)
	}
}

// settlingTime is what a start takes at most when nothing is absent.
const settlingTime = 5 * time.Second

// tellAbsent names, all at once, what is absent after the start. Consumption
// waits for one part after another, and each is told in full when its turn comes.
func (s *service) tellAbsent(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(settlingTime):
	}
	check, cancel := context.WithTimeout(ctx, 2*orderTimeout)
	defer cancel()
	if parts := s.readiness.absent(check); len(parts) > 0 && ctx.Err() == nil {
		s.log.InfoContext(ctx, "started without some parts; each is waited for", slog.Any("absent", parts))
	}
}

// work consumes and matches from the moment the schema is there until ctx ends.
func (s *service) work(ctx context.Context) {
	worked, ok := s.awaitSchema(ctx)
	if !ok {
		return
	}
	// The use case outlives the consumer, which still hands over its last batch.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { s.coalescer.Run(inner) })
	wg.Go(func() { worker.Match(inner, s.matcher, s.log) })
	wg.Go(func() { worker.Due(ctx, s.looks, s.breaker, s.coalescer, s.log) })
	wg.Go(func() { s.sweeper.Run(ctx, s.sweepEvery) })
	wg.Go(func() { worker.Retain(ctx, deadletters.New(postgres.NewDeadLetters(s.pool)), s.log) })
	wg.Go(func() { worker.Audit(ctx, postgres.NewHealth(s.pool), s.metrics, s.log) })
	wg.Go(func() { worker.Watch(ctx, postgres.NewHealth(s.pool), s.metrics, s.log) })
	if s.old != nil {
		wg.Go(func() { s.old.Run(ctx) })
	}
	if s.late != nil {
		wg.Go(func() { worker.Overdue(ctx, s.late, s.deliveries, s.breaker, s.log) })
	}
	s.consumer.Run(ctx, worked)
	stop()
	wg.Wait()
}

// awaitSchema waits for PostgreSQL and then for its schema, which `serve` never
// makes itself, and reports whether there are orders already. It returns !ok
// when ctx ends first.
func (s *service) awaitSchema(ctx context.Context) (worked, ok bool) {
	database, schema := outage.New(s.log, "postgresql"), outage.New(s.log, "database schema")
	for {
		err := postgres.CheckSchema(ctx, s.pool)
		if err == nil {
			worked, err = postgres.NewHealth(s.pool).Worked(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return false, false
		case err == nil:
			database.Works(ctx)
			schema.Works(ctx)
			return worked, true
		case errors.Is(err, postgres.ErrNoSchema):
			database.Works(ctx)
			schema.Failed(ctx, err)
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
