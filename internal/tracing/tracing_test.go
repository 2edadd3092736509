package tracing_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"service-courier/internal/courier"
	"service-courier/internal/gateway/order"
	"service-courier/internal/tracing"
	"service-courier/internal/usecase/orderevent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// observer has the spans only.
type observer struct{ *tracing.Tracing }

func (observer) Reconciled(orderevent.Outcome)   {}
func (observer) Matched([]orderevent.Assignment) {}

// service is service-order: always there.
type service struct{ *order.HTTPClient }

func (service) Ready(context.Context) error { return nil }
func (service) Tripped() bool               { return false }

// store forgets everything.
type store struct{ orderevent.Tx }

func (s store) InTx(_ context.Context, fn func(orderevent.Tx) error) error { return fn(s) }
func (store) LockOrders(context.Context, []courier.OrderID) (map[courier.OrderID]orderevent.Record, error) {
	return nil, nil
}

func (store) Save(context.Context, []orderevent.Change, []orderevent.DeadLetter) (orderevent.Saved, error) {
	return orderevent.Saved{}, nil
}

const (
	traceOfRecord = "0af7651916cd43dd8448eb211c80319c"
	traceparent   = "00-" + traceOfRecord + "-b7ad6b7169203331-01"
)

func named(t *testing.T, spans tracetest.SpanStubs, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %q among %d", name, len(spans))
	return tracetest.SpanStub{}
}

// TestABatchIsOneTrace: its span is linked to its records' traces, its phases and
// GETs are below it, and service-order is told the trace.
func TestABatchIsOneTrace(t *testing.T) {
	var told string
	neighbour := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = r.Header.Get("traceparent")
		_, _ = io.WriteString(w, `{"id":"o-1","status":"created"}`)
	}))
	defer neighbour.Close()
	exporter := tracetest.NewInMemoryExporter()
	spans := tracing.New(trace.NewSimpleSpanProcessor(exporter))
	client, err := order.NewHTTPClient(order.Config{BaseURL: neighbour.URL, Timeout: 10 * time.Second, Concurrency: 1, Wrap: spans.Client})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	o := observer{spans}
	r := orderevent.NewReconciler(service{client}, store{}, orderevent.NewMatcher(nil, o), o, slog.New(slog.DiscardHandler), 4)
	hints := []orderevent.Hint{{OrderID: "o-1", Trace: []byte(traceparent)}, {OrderID: "o-1", Trace: []byte(traceparent)}, {OrderID: "o-1", Trace: []byte("nonsense")}, {OrderID: "o-1"}}
	if err := r.Reconcile(t.Context(), orderevent.Batch{Hints: hints}); err != nil {
		t.Fatal(err)
	}
	all := exporter.GetSpans()
	batch, ask, get := named(t, all, "batch"), named(t, all, "ask"), named(t, all, "GET service-order")
	if len(batch.Links) != 1 || batch.Links[0].SpanContext.TraceID().String() != traceOfRecord {
		t.Errorf("linked to %+v, want the record's trace once", batch.Links)
	}
	for _, s := range []tracetest.SpanStub{ask, named(t, all, "save"), named(t, all, "commit")} {
		if s.Parent.SpanID() != batch.SpanContext.SpanID() {
			t.Errorf("%s is not below the batch", s.Name)
		}
	}
	if get.Parent.SpanID() != ask.SpanContext.SpanID() {
		t.Error("the GET is not below ask")
	}
	if want := "00-" + batch.SpanContext.TraceID().String() + "-" + get.SpanContext.SpanID().String() + "-01"; told != want {
		t.Errorf("service-order was told %q, want %q", told, want)
	}
	spans.Close(t.Context())
}

// TestServerAndLogAreOfOneTrace: a request goes on with its caller's trace, and
// what is logged for it says so.
func TestServerAndLogAreOfOneTrace(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	spans := tracing.New(trace.NewSimpleSpanProcessor(exporter))
	var text bytes.Buffer
	log := slog.New(tracing.Logged(slog.NewJSONHandler(&text, nil))).With(slog.String("a", "b"))
	h := spans.Server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Pattern = "GET /couriers"
		log.InfoContext(r.Context(), "served")
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/couriers", http.NoBody)
	r.Header.Set("traceparent", traceparent)
	h.ServeHTTP(httptest.NewRecorder(), r)
	span := named(t, exporter.GetSpans(), "GET /couriers")
	if span.SpanContext.TraceID().String() != traceOfRecord {
		t.Errorf("the trace is %s, want the caller's", span.SpanContext.TraceID())
	}
	for _, want := range []string{`"a":"b"`, `"trace_id":"` + traceOfRecord + `"`, `"span_id":"` + span.SpanContext.SpanID().String() + `"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log %s does not say %s", text.String(), want)
		}
	}
	text.Reset()
	log.InfoContext(t.Context(), "outside")
	if strings.Contains(text.String(), "trace_id") {
		t.Errorf("a line outside of any trace: %s", text.String())
	}
}

// TestSpansDoNotTellWhoCalled: neither from where nor with what, nor a path, in which
// anything can be.
func TestSpansDoNotTellWhoCalled(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	spans := tracing.New(trace.NewSimpleSpanProcessor(exporter))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/courier/zebra?phone=zebra", http.NoBody)
	r.RemoteAddr = "192.0.2.77:7777"
	r.Header.Set("X-Forwarded-For", "192.0.2.77")
	r.Header.Set("User-Agent", "zebra")
	spans.Server(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	told := fmt.Sprint(named(t, exporter.GetSpans(), "http").Attributes)
	if strings.Contains(told, "zebra") || strings.Contains(told, "192.0.2.77") || strings.Contains(told, "7777") {
		t.Errorf("the span tells %s", told)
	}
	if !strings.Contains(told, "404") {
		t.Errorf("the span tells only %s", told)
	}
}

// TestOffWithoutAnEndpoint: no goroutine (goleak), and nothing to close.
func TestOffWithoutAnEndpoint(t *testing.T) {
	spans, err := tracing.Open(t.Context(), "", slog.New(slog.DiscardHandler))
	if spans != nil || err != nil {
		t.Fatalf("%v, %v; want none", spans, err)
	}
	spans.Close(t.Context())
}

// TestCollectorIsAway: spans are lost, closing does not wait for it, and the log
// says it, as well as what the SDK has against its variables.
func TestCollectorIsAway(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_TRACES_SAMPLER", "now_and_then")
	var text bytes.Buffer
	spans, err := tracing.Open(t.Context(), "http://127.0.0.1:1", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, end := spans.Begin(t.Context(), orderevent.PhaseBatch)
	end(1, io.EOF)
	began := time.Now()
	spans.Close(t.Context())
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("closing took %v", took)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "now_and_then") || !strings.Contains(lines[1], "what=traces") {
		t.Errorf("want a line on the sampler and one on the collector, got:\n%s", text.String())
	}
}

// TestServerLeavesTheConnectionInReach: the live feed sets its own deadlines, and
// flushes.
func TestServerLeavesTheConnectionInReach(t *testing.T) {
	spans := tracing.New(trace.NewSimpleSpanProcessor(tracetest.NewInMemoryExporter()))
	errs := make(chan error, 3)
	server := httptest.NewServer(spans.Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn := http.NewResponseController(w)
		errs <- conn.SetReadDeadline(time.Time{})
		errs <- conn.SetWriteDeadline(time.Time{})
		errs <- conn.Flush()
	})))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
