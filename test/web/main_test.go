package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5/pgxpool"

	"service-courier/internal/app"
	"service-courier/internal/config"
	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/devkafka"
	"service-courier/internal/dev/ordersim"
	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
)

const assignmentTopic = "courier.assignment.changed" // published to if a test configures it

const patience = 30 * time.Second // for a page on a busy machine

// chromium is the running browser; each tab has its own cookies.
var chromium context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	path, err := findChromium()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if citest.Enabled() {
			return 1
		}
		return pgtest.Main(m)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	var cancel context.CancelFunc
	chromium, cancel = chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(chromium); err != nil {
		fmt.Fprintln(os.Stderr, "start Chromium:", err)
		return 1
	}
	return pgtest.Main(m)
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium on this machine: install it (Debian: apt-get install chromium) to run the tests of the pages")
}

// world is a running service with everything around it.
type world struct {
	*testing.T
	cfg     config.Config
	sim     *ordersim.Sim
	kafka   *devkafka.Broker
	pool    *pgxpool.Pool
	service *app.App
}

// newWorld starts the service on an empty database. Orders stay as they are created.
func newWorld(t *testing.T, change ...func(*config.Config)) *world {
	t.Helper()
	if chromium == nil {
		t.Skip("no Chromium on this machine")
	}
	w := &world{T: t}
	log := slog.New(slog.DiscardHandler)
	broker, err := devkafka.Start(t.Context(), devkafka.Config{Port: freePort(t), Topics: map[string]int{ordersim.DefaultTopic: 3, assignmentTopic: 3}, Logger: log})
	w.must(err)
	w.kafka = broker
	t.Cleanup(func() { w.must(broker.Stop(context.Background())) })
	w.sim, err = ordersim.New(ordersim.Config{
		Addr: "127.0.0.1:0", Brokers: []string{broker.Addr()}, Topic: ordersim.DefaultTopic, Steps: ordersim.FrozenSteps(), Logger: log,
	})
	w.must(err)
	w.must(w.sim.Start(t.Context()))
	t.Cleanup(func() { w.must(w.sim.Stop(context.Background())) })
	w.cfg = config.Config{
		HTTPAddr: "127.0.0.1:0", DatabaseURL: pgtest.NewDatabase(t, postgres.Migrate), KafkaBrokers: []string{broker.Addr()},
		KafkaTopic: ordersim.DefaultTopic, KafkaGroupID: "web", OrderServiceURL: "http://" + w.sim.Addr(), ResyncInterval: time.Hour,
	}
	for _, c := range change {
		c(&w.cfg)
	}
	w.pool, err = postgres.Open(t.Context(), pgtest.Patient(w.cfg.DatabaseURL), 2)
	w.must(err)
	t.Cleanup(w.pool.Close)
	w.start()
	t.Cleanup(w.stop)
	return w
}

// start starts the service; after a stop on the same port.
func (w *world) start() {
	w.Helper()
	service, err := app.New(context.WithoutCancel(w.Context()), w.cfg, slog.New(slog.DiscardHandler))
	w.must(err)
	w.service = service
	w.must(service.Start(w.Context()))
	w.cfg.HTTPAddr = service.Addr()
	w.eventually("the service is ready", func() bool { return service.Ready(w.Context()) })
}

func (w *world) stop() {
	if w.service != nil {
		w.must(w.service.Stop(context.Background()))
		w.service = nil
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !is() {
		select {
		case <-deadline.C:
			w.Fatalf("not within %v: %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// courier registers an available courier and returns the id.
func (w *world) courier(name, transport string) (id int64) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), `INSERT INTO couriers (name, phone, status, transport_type)
		VALUES ($1, '+7' || (SELECT count(*) FROM couriers), 'available', $2) RETURNING id`, name, transport).Scan(&id))
	return id
}

// order creates an order in service-order, which publishes its event.
func (w *world) order() string {
	w.Helper()
	o, err := w.sim.Create()
	w.must(err)
	return o.ID
}

// publish publishes records to the order topic.
func (w *world) publish(values ...string) {
	w.Helper()
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	p, err := sarama.NewSyncProducer(w.cfg.KafkaBrokers, cfg)
	w.must(err)
	defer func() { _ = p.Close() }()
	for _, v := range values {
		_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: w.cfg.KafkaTopic, Value: sarama.StringEncoder(v), Headers: []sarama.RecordHeader{{Key: []byte("trace"), Value: []byte("<b>1</b>")}}})
		w.must(err)
	}
}

// get decodes a response of the API.
func (w *world) get(path string, into any) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.cfg.HTTPAddr+path, http.NoBody)
	w.must(err)
	response, err := http.DefaultClient.Do(r)
	w.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	w.must(err)
	if err := json.Unmarshal(text, into); err != nil {
		w.Fatalf("%s: %v: %s", path, err, text)
	}
}

// state is the state of an order according to the API.
func (w *world) state(id string) string {
	w.Helper()
	var body struct{ State string }
	w.get("/api/v1/orders/"+id, &body)
	return body.State
}

// tab is one tab of the browser. At its end, it must have logged no error, and requested
// nothing from another host.
type tab struct {
	*world
	ctx      context.Context
	mu       sync.Mutex
	errors   []string
	tolerate []string // parts of errors that the test causes
}

// open opens a page in a tab with its own cookies.
func (w *world) open(path string) *tab {
	w.Helper()
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	w.Cleanup(cancel)
	t := &tab{world: w, ctx: ctx}
	own := "http://" + w.cfg.HTTPAddr + "/"
	w.must(chromedp.Do(ctx))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	w.must(err)
	w.must(chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok && !strings.HasPrefix(e.Request.URL, own) && !strings.HasPrefix(e.Request.URL, "data:") {
			t.complain("request off the host: " + e.Request.URL)
		}
	}))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				t.complain(m.String() + " " + m.URL)
			}
		}
	}()
	w.Cleanup(t.check)
	t.do(chromedp.EmulateViewport(1440, 1000))
	t.do(chromedp.Navigate("http://" + w.cfg.HTTPAddr + path))
	return t
}

func (t *tab) complain(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors = append(t.errors, text)
}

func (t *tab) check() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.errors {
		tolerated := false
		for _, part := range t.tolerate {
			tolerated = tolerated || strings.Contains(e, part)
		}
		if !tolerated {
			t.Errorf("the page reports: %s", e)
		}
	}
	if t.Failed() {
		if text, err := chromedp.Run(t.ctx, chromedp.Evaluate[string]("document.body.innerText")); err == nil {
			t.Logf("the page shows:\n%s", text)
		}
	}
}

func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// eval returns the value of an expression in the page.
func eval[V any](t *tab, expression string) V {
	t.Helper()
	v, err := evaluate[V](t, expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func evaluate[V any](t *tab, expression string) (V, error) {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
}

// sees waits until an expression is true in the page. It may fail meanwhile: a page that
// is loading has no elements.
func (t *tab) sees(expression string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		seen, err := evaluate[bool](t, "Boolean("+expression+")")
		if seen && err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s (%v)", patience, expression, err)
		}
		time.Sleep(30 * time.Millisecond) //nolint:forbidigo // polls a browser
	}
}

// card waits until an order's card is in the column of a state.
func (t *tab) card(id, state string) {
	t.Helper()
	t.sees(fmt.Sprintf(`document.querySelector('.column-%s [data-order="%s"]')`, state, id))
}

// keys presses keys, one after the other: a character, or a name such as Enter. Unlike
// chromedp.KeyEvent it types nothing when the page handles the key.
func (t *tab) keys(keys ...string) {
	t.Helper()
	for _, k := range keys {
		down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: k, Text: k}
		switch k {
		case "Enter":
			down.Text, down.Code, down.WindowsVirtualKeyCode = "\r", k, 13
		case "Escape":
			down.Text, down.Code, down.WindowsVirtualKeyCode = "", k, 27
		}
		_, err := chromedp.Call(t.ctx, input.DispatchKeyEvent, down)
		t.must(err)
		_, err = chromedp.Call(t.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: k, Code: down.Code, WindowsVirtualKeyCode: down.WindowsVirtualKeyCode})
		t.must(err)
	}
}

// focus focuses an element, as the Tab key would.
func (t *tab) focus(selector string) {
	t.Helper()
	t.sees(fmt.Sprintf(`(e => e && (e.focus(), e.contains(document.activeElement)))(document.querySelector(%q))`, selector))
}
