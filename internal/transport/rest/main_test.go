package rest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/transport/rest"
	"service-courier/internal/usecase/couriers"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/livefeed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is the use case of couriers, the readiness and the consumption. It returns err
// and records its arguments.
type fake struct {
	err        error
	panics     any
	waits      bool // until the deadline of the request
	all        []courier.Courier
	components []rest.Component
	registered []courier.Courier
	requested  string // the last call
	deadline   bool   // of the last call
	actor      string // of the last call

	consumption rest.ConsumerStatus
	summaries   []deadletters.Summary
	samples     []rest.HealthSample
	day         couriers.Day
}

// recording guards the arguments that fakes record: requests may be concurrent.
var recording sync.Mutex

func (f *fake) record(arguments func()) {
	recording.Lock()
	defer recording.Unlock()
	arguments()
}

func (f *fake) answer(ctx context.Context) error {
	f.record(func() {
		_, f.deadline = ctx.Deadline()
		f.actor = courier.Actor(ctx)
	})
	if f.panics != nil {
		panic(f.panics)
	}
	if f.waits {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.err
}

func (f *fake) Register(ctx context.Context, c courier.Courier) (int64, error) {
	f.record(func() { f.registered = append(f.registered, c) })
	return 7, f.answer(ctx)
}

func (f *fake) Get(ctx context.Context, id int64) (courier.Courier, error) {
	return courier.Courier{
		ID: id, Name: "Anna <&>", Phone: "+79000000001", Status: courier.StatusBusy, Transport: courier.OnFoot,
	}, f.answer(ctx)
}

func (f *fake) Ensure(ctx context.Context, c courier.Courier) (courier.Courier, bool, error) {
	c.ID = 7
	return c, c.Name == "Anna", f.answer(ctx)
}

func (f *fake) Page(ctx context.Context, filter couriers.Filter, after int64, limit int) ([]courier.Courier, error) {
	f.record(func() { f.requested = fmt.Sprintf("%+v after %d, %d", filter, after, limit) })
	return f.all, f.answer(ctx)
}

// changed is courier 3 after a change.
func (f *fake) changed(ctx context.Context, id int64, expect couriers.Expect, change func(*courier.Courier)) (courier.Courier, error) {
	c, err := f.Get(ctx, id)
	if err == nil && expect != nil {
		err = expect(c)
	}
	change(&c)
	return c, err
}

func (f *fake) Change(ctx context.Context, id int64, fields couriers.Fields, expect couriers.Expect) (courier.Courier, error) {
	return f.changed(ctx, id, expect, func(c *courier.Courier) {
		for field, value := range map[*string]*string{&c.Name: fields.Name, &c.Phone: fields.Phone} {
			if value != nil {
				*field = *value
			}
		}
		if fields.Status != nil {
			c.Status = *fields.Status
		}
		if fields.Transport != nil {
			c.Transport = *fields.Transport
		}
	})
}

func (f *fake) Pause(ctx context.Context, id int64, afterDelivery bool, expect couriers.Expect) (courier.Courier, error) {
	return f.changed(ctx, id, expect, func(c *courier.Courier) { c.PauseAfter = afterDelivery })
}

func (f *fake) Resume(ctx context.Context, id int64, expect couriers.Expect) (courier.Courier, error) {
	return f.changed(ctx, id, expect, func(c *courier.Courier) { c.Status = courier.StatusAvailable })
}

func (f *fake) Delete(ctx context.Context, id int64, expect couriers.Expect) error {
	_, err := f.changed(ctx, id, expect, func(*courier.Courier) {})
	return err
}

func (f *fake) Day(ctx context.Context, id int64, start time.Time) (couriers.Day, error) {
	f.record(func() { f.requested = fmt.Sprintf("deliveries of %d on %s", id, start) })
	return f.day, f.answer(ctx)
}

func (f *fake) Check(ctx context.Context) []rest.Component {
	_ = f.answer(ctx)
	return f.components
}

// dependencies serves f and logs to w.
func dependencies(f *fake, w io.Writer) rest.Dependencies {
	return rest.Dependencies{
		Couriers:    f,
		Orders:      fakeOrders{f},
		Statistics:  fakeStatistics{f},
		Consumption: f,
		DeadLetters: fakeDeadLetters{f},
		Records:     fakeRecords{f},
		Readiness:   f,
		History:     f,
		Metrics:     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
		Stream:      livefeed.NewHub(still{}, rest.StreamEncoder{}, noOutage{}, slog.New(slog.DiscardHandler)),
		Log:         slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func handler(f *fake, log io.Writer) http.Handler {
	return rest.New(rest.Config{}, dependencies(f, log)).Handler()
}

// request makes one; headers are "Name: value".
func request(t *testing.T, line, body string, headers ...string) *http.Request {
	t.Helper()
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		t.Fatalf("%q is not METHOD /path", line)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Host = "localhost"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// contextGone is the context of a request whose client has disconnected.
func contextGone(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	cancel()
	return ctx, cancel
}
