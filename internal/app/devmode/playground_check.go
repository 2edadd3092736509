package devmode

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/worker"
)

const (
	checkEvery   = 2 * time.Second
	checkTimeout = 20 * time.Second
	maxCompared  = 5000 // orders, the newest
	// lostAfter is longer than the service takes to catch up: the resync runs every ten
	// seconds here.
	lostAfter = time.Minute
)

// checkResult is what the last check found.
type checkResult struct {
	At         time.Time `json:"at,omitzero"`
	Orders     int       `json:"orders"` // compared with the simulator
	Behind     int       `json:"behind"` // of these, what the service does not know yet
	Lost       int       `json:"lost"`   // behind for longer than lostAfter
	Violations []string  `json:"violations"`
	Error      string    `json:"error,omitempty"` // of a later attempt
}

// checker compares the service with the simulator, and runs the invariant check of the
// periodic task, while the page is open.
type checker struct {
	pool   *pgxpool.Pool
	resync *postgres.Resync
	health *postgres.Health

	mu        sync.Mutex
	running   bool
	tried     time.Time
	disturbed time.Time // when a fault was last in force
	last      checkResult
}

func newChecker(ctx context.Context, databaseURL string) (*checker, error) {
	pool, err := postgres.Open(ctx, databaseURL, 1)
	if err != nil {
		return nil, err
	}
	return &checker{
		pool: pool, resync: postgres.NewResync(pool), health: postgres.NewHealth(pool),
		disturbed: time.Now(), last: checkResult{Violations: []string{}},
	}, nil
}

// latest returns the last result, and starts the next check when it is time.
func (c *checker) latest(p *playground, fault bool) checkResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fault {
		c.disturbed = time.Now()
	}
	if !c.running && p.ctx.Err() == nil && time.Since(c.tried) >= checkEvery {
		c.running = true
		disturbed := c.disturbed
		p.work.Go(func() { c.finish(c.run(p.ctx, p.sim, disturbed)) })
	}
	return c.last
}

func (c *checker) finish(result checkResult, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.tried = false, time.Now()
	if err != nil {
		c.last.Error, c.disturbed = err.Error(), c.tried // PostgreSQL may be stopped
		return
	}
	c.last = result
}

func (c *checker) run(ctx context.Context, sim *ordersim.Sim, disturbed time.Time) (checkResult, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	result := checkResult{At: time.Now(), Violations: []string{}}
	newest, _ := sim.Newest(maxCompared)
	classes, changed := make(map[courier.OrderID]courier.Class), make(map[courier.OrderID]time.Time)
	for _, o := range newest {
		id, err := courier.ParseOrderID(o.ID)
		if class := courier.ClassOf(o.Status); err == nil && class != courier.ClassUnknown {
			classes[id], changed[id] = class, o.UpdatedAt
		}
	}
	behind, err := c.resync.Behind(ctx, classes)
	if err != nil {
		return result, err
	}
	result.Orders, result.Behind = len(classes), len(behind)
	for _, id := range behind {
		if result.At.Sub(changed[id]) > lostAfter && result.At.Sub(disturbed) > lostAfter {
			result.Lost++
		}
	}
	violations, err := worker.CheckTwice(ctx, c.health.Violations)
	result.Violations = append(result.Violations, violations...)
	return result, err
}
