package stream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/outage"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/livefeed"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// world is the server and its database.
type world struct {
	*testing.T
	url    string
	pool   *pgxpool.Pool
	hub    *livefeed.Hub
	server *rest.Server
	client *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, url: pgtest.NewDatabase(t, postgres.Migrate), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var err error
	w.pool, err = postgres.Open(t.Context(), pgtest.Patient(w.url), 16)
	w.must(err)
	t.Cleanup(w.pool.Close)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.hub = livefeed.NewHub(postgres.NewJournal(w.pool), rest.StreamEncoder{}, outage.New(log, "live feed"), log)
	w.server = rest.New(rest.Config{Addr: "127.0.0.1:0"}, rest.Dependencies{Stream: w.hub, Consumption: noConsumption{}, Records: noRecords{}, Log: log})
	w.must(w.server.Start(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.hub.Run(ctx) }()
	t.Cleanup(func() {
		w.must(w.server.Stop(context.Background()))
		cancel()
		<-ended
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// noConsumption is that of a server without consumer.
type noConsumption struct{}

func (noConsumption) Status(context.Context) (s rest.ConsumerStatus, err error) { return s, nil }

// noRecords is the use case of a server without records.
type noRecords struct{ rest.Records }

func (noRecords) Topics() []string { return []string{"order.status.changed"} }

// event is a server-sent event.
type event struct{ id, kind, data string }

// listener is a client of the stream.
type listener struct {
	body io.Closer
	in   *bufio.Reader
}

// listen connects; lastID "" begins with a snapshot.
func (w *world) listen(lastID string) (*listener, error) {
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.server.Addr()+"/api/v1/stream", http.NoBody)
	if err != nil {
		return nil, err
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return nil, err
	}
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != "text/event-stream" {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("status %d, %s", answer.StatusCode, got)
	}
	return &listener{answer.Body, bufio.NewReader(answer.Body)}, nil
}

// next reads an event and skips comments.
func (l *listener) next() (e event, err error) {
	for {
		line, err := l.in.ReadString('\n')
		if err != nil {
			return e, err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.kind != "" {
				return e, nil
			}
		}
	}
}

// order is the order id of a change.
func (e event) order() string {
	_, id, _ := strings.Cut(e.data, `"order_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// appended is the statement of every transaction here.
const appended = "INSERT INTO journal (order_id, state, source) VALUES ($1, 'waiting', 'test')"

// within fails the test if do takes too long.
func (w *world) within(what string, do func()) {
	w.Helper()
	var done sync.WaitGroup
	done.Go(do)
	finished := make(chan struct{})
	go func() { done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(patience):
		w.Fatalf("not within %v: %s", patience, what)
	}
}
