package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"service-courier/internal/courier"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/orderevent"
)

// BenchmarkLifecycle takes orders from waiting to completed, one batch per iteration:
// 500 orders as under load, and one as when idle, which is matched in the transaction that
// queues it. It reports the CPU time of the server
// per order for each step, which a busy machine changes little. Run it with -benchtime
// 40x or more, since empty plans and tables cost nothing.
func BenchmarkLifecycle(b *testing.B) {
	for _, batch := range []int{1, 500} {
		b.Run(strconv.Itoa(batch), func(b *testing.B) { benchmarkLifecycle(b, batch) })
	}
}

func benchmarkLifecycle(b *testing.B, batch int) {
	b.Helper()
	pool, err := postgres.Open(b.Context(), pgtest.NewDatabase(b, postgres.Migrate), 1)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	var backend int
	if err := pool.QueryRow(b.Context(), "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		b.Fatal(err)
	}
	_, err = pool.Exec(b.Context(), `INSERT INTO couriers (name, phone, status, transport_type)
		SELECT 'c' || i, '+' || i, 'available', 'scooter' FROM generate_series(1, $1::int) i`, batch*b.N)
	if err != nil {
		b.Fatal(err)
	}
	if _, err = pool.Exec(b.Context(), "vacuum analyze"); err != nil {
		b.Fatal(err)
	}
	orders, line := postgres.NewOrders(pool), postgres.NewMatching(pool)
	match := 0
	if batch == 1 {
		match = 1
	}
	save := func(ids []courier.OrderID, s courier.State) {
		err := orders.InTx(b.Context(), func(tx orderevent.Tx) error {
			records, err := tx.LockOrders(b.Context(), ids)
			if err != nil {
				return err
			}
			changes := make([]orderevent.Change, len(ids))
			for i, id := range ids {
				rec := records[id]
				from := rec.State
				rec.OrderID, rec.State, rec.CreatedAt = id, s, time.Unix(1_700_000_000, 0)
				changes[i] = orderevent.Change{From: from, Next: rec, Source: fmt.Sprintf("3@%d", i), Reason: "service-order reports created"}
			}
			_, err = tx.SaveAndCommit(b.Context(), changes, nil, match)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	chance := rand.New(rand.NewPCG(1, 2))
	batches := make([][]courier.OrderID, b.N)
	for i := range batches {
		for range batch {
			id := fmt.Sprintf("%016x%016x", chance.Uint64(), chance.Uint64())
			batches[i] = append(batches[i], courier.OrderID(id[:8]+"-"+id[8:12]+"-4"+id[13:16]+"-a"+id[17:20]+"-"+id[20:]))
		}
	}
	step := func(name string, run func(ids []courier.OrderID)) {
		cpu, began := backendCPU(b, backend), time.Now()
		for _, ids := range batches {
			run(ids)
		}
		orders := float64(batch * b.N)
		b.ReportMetric(float64((backendCPU(b, backend)-cpu).Microseconds())/orders, name+"-cpu-µs/order")
		b.ReportMetric(float64(time.Since(began).Microseconds())/orders, name+"-µs/order")
	}
	b.ReportAllocs()
	b.ResetTimer()
	step("queue", func(ids []courier.OrderID) { save(ids, courier.StateWaiting) })
	if match == 0 {
		step("match", func([]courier.OrderID) {
			if a, err := line.Match(b.Context(), batch); err != nil || len(a) != batch {
				b.Fatal(len(a), err)
			}
		})
	}
	step("complete", func(ids []courier.OrderID) { save(ids, courier.StateCompleted) })
}

// backendCPU is the CPU time of a process, from /proc.
func backendCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		b.Skip("no /proc:", err)
	}
	var running int64
	if _, err := fmt.Sscan(string(stat), &running); err != nil {
		b.Fatal(err)
	}
	return time.Duration(running)
}
