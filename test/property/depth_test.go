package property

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/gateway/order"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// maxDepth bounds the functions between the entry of the use case and pgx.
const maxDepth = 6

// stacks is a pgx tracer that records, for each statement, the functions of this module
// on the stack, innermost first.
type stacks struct {
	mu   sync.Mutex
	seen map[string][]string // by the statement, of a batch the last
}

func (s *stacks) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.record(d.SQL)
	return ctx
}

func (s *stacks) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	s.record(d.Batch.QueuedQueries[d.Batch.Len()-1].SQL)
	return ctx
}

func (*stacks) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (*stacks) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*stacks) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (s *stacks) record(statement string) {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	var ours []string
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if function, ok := strings.CutPrefix(f.Function, "service-courier/internal/"); ok {
			ours = append(ours, function)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[statement] = ours
}

// TestFewFunctionsBetweenReconcileAndPostgres: the path of an event stays readable. From
// Reconcile, and from Execute, to the call into pgx there are at most six functions of
// this module, closures included.
func TestFewFunctionsBetweenReconcileAndPostgres(t *testing.T) {
	cfg, err := pgxpool.ParseConfig(pgtest.Patient(pgtest.NewDatabase(t, postgres.Migrate)))
	if err != nil {
		t.Fatal(err)
	}
	tracer := &stacks{seen: make(map[string][]string)}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	matcher := orderevent.NewMatcher(postgres.NewMatching(pool), observer{})
	r := orderevent.NewReconciler(oneOrder{}, postgres.NewOrders(pool), matcher, observer{}, slog.New(slog.DiscardHandler), 1)
	entries := map[string]func() error{
		"Reconcile": func() error {
			return r.Reconcile(t.Context(), orderevent.Batch{Hints: []orderevent.Hint{{OrderID: "a"}}}, nil)
		},
		"Execute": func() error {
			return r.Execute(t.Context(), "b", "dispatcher", func(context.Context, orderevent.Tx, orderevent.Order, bool) (orderevent.Effects, error) {
				return orderevent.Effects{}, nil
			})
		},
	}
	for name, enter := range entries {
		clear(tracer.seen)
		if err := enter(); err != nil {
			t.Fatal(err)
		}
		if len(tracer.seen) < 2 {
			t.Errorf("%s: only %d statements seen, want lock, and save or commit", name, len(tracer.seen))
		}
		for statement, ours := range tracer.seen {
			if len(ours) > maxDepth || !strings.HasSuffix(ours[len(ours)-1], "."+name) {
				t.Errorf("%s: %d functions to %.40q, want at most %d:\n%s", name, len(ours), statement, maxDepth, strings.Join(ours, "\n"))
			}
		}
	}
}

// oneOrder answers that every order is cooking.
type oneOrder struct{}

func (oneOrder) Ready(context.Context) error { return nil }
func (oneOrder) Tripped() bool               { return false }

func (oneOrder) Get(_ context.Context, id courier.OrderID) (order.Order, error) {
	return order.Order{ID: id, Status: "cooking"}, nil
}
