package devmode

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/dev/ordersim"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

// A kill -9 under load leaves no server behind; the next start on the directory
// continues from the committed offsets, and in the end the database agrees with
// service-order about every order.
func TestDataSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	out, kill := startChild(t, dir)
	database := out.await(t, `postgresql +(127\.0\.0\.1:\d+)`)[1]
	broker := out.await(t, `kafka +(127\.0\.0\.1:\d+)`)[1]
	var before int64
	eventually(t, "offsets of 300 events are committed", func() bool {
		before = committed(t, broker)
		return before >= 300
	})
	err := Run(t.Context(), Config{DataDir: dir, PGBinDir: os.Getenv("PG_BIN_DIR")}, io.Discard, t.Output())
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use by another running service-courier") {
		t.Errorf("a second dev on the directory: %v", err)
	}
	kill()
	eventually(t, "PostgreSQL ends with its parent", func() bool { return !answers(t, database) })

	again := startDev(t, Config{DataDir: dir, traffic: shortLives}).up(t)
	pool, err := postgres.Open(t.Context(), pgtest.Patient(again.databaseURL()), 1)
	must(t, err)
	defer pool.Close()
	awaitTruth(t, pool, again.sim)
	checkSound(t, pool)
	// Fails when the group starts from the beginning (tried, with another
	// group): then the service reads every event there is.
	if read, all := recordsRead(t, again.service.Addr()), written(t, again.kafka.Addr()); read > all-before/2 {
		t.Errorf("read %d of %d events after the restart, %d were committed before", read, all, before)
	}
	again.end(t)
	again.out.await(t, "stopped; continue with: service-courier dev --data "+dir)
}

// startChild starts a dev under load in a process of its own.
func startChild(t *testing.T, dir string) (out *screen, kill func()) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	out = &screen{}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childDataDir+"="+dir)
	cmd.Stdout, cmd.Stderr = out, out
	_, err = cmd.StdinPipe() // its end ends the child
	must(t, err)
	must(t, cmd.Start())
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() {
			t.Logf("the child's output:\n%.3000s", out)
		}
	})
	return out, kill
}

func answers(t *testing.T, addr string) bool {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// awaitTruth waits until the orders and their final states are those of
// service-order.
func awaitTruth(t *testing.T, pool *pgxpool.Pool, sim *ordersim.Sim) {
	t.Helper()
	var diff string
	defer func() {
		if t.Failed() {
			t.Logf("service-order (-), database (+):\n%.3000s", diff)
		}
	}()
	eventually(t, "all orders have ended as service-order says", func() bool {
		want := map[string]string{}
		for id, status := range sim.Truth() {
			want[id] = map[string]string{"completed": "completed", "deleted": "cancelled"}[status]
		}
		diff = cmp.Diff(want, states(t, pool))
		return diff == ""
	})
	t.Logf("%d orders", len(sim.Truth()))
}

func states(t *testing.T, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT order_id, state FROM orders")
	must(t, err)
	found := map[string]string{}
	var id, state string
	_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error {
		found[id] = state
		return nil
	})
	must(t, err)
	return found
}

// checkSound checks the invariants, and that no order was assigned twice.
func checkSound(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	violations, err := postgres.CheckInvariants(t.Context(), pool)
	must(t, err)
	for _, v := range violations {
		t.Errorf("%s: %s", v.Invariant, v.Subject)
	}
	var assigned, twice int
	must(t, pool.QueryRow(t.Context(), `
		SELECT count(*), count(*) - count(DISTINCT order_id) FROM journal WHERE state = 'assigned'`).Scan(&assigned, &twice))
	if assigned == 0 || twice != 0 {
		t.Errorf("%d orders were assigned, %d of them twice", assigned, twice)
	}
}

// committed is the sum of the group's offsets.
func committed(t *testing.T, addr string) (sum int64) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin([]string{addr}, sarama.NewConfig())
	must(t, err)
	defer func() { must(t, admin.Close()) }()
	offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2, 3, 4, 5}})
	must(t, err)
	for p := range int32(partitions) {
		if block := offsets.GetBlock(topic, p); block != nil && block.Offset > 0 {
			sum += block.Offset
		}
	}
	return sum
}

// written is how many events the topic has had.
func written(t *testing.T, addr string) (sum int64) {
	t.Helper()
	client, err := sarama.NewClient([]string{addr}, sarama.NewConfig())
	must(t, err)
	defer func() { must(t, client.Close()) }()
	for p := range int32(partitions) {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		must(t, err)
		sum += end
	}
	return sum
}

// recordsRead is how many records the service has saved since its start, without rechecks and
// resyncs, of which a slow machine has more.
func recordsRead(t *testing.T, addr string) int64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/metrics", addr), http.NoBody)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	found := regexp.MustCompile(`(?m)^courier_records_total (\S+)$`).FindSubmatch(body)
	if found == nil {
		t.Fatalf("no count of records in %s", body)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	must(t, err)
	return int64(n)
}
