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

// observer creates spans only.
type observer struct{ *tracing.Tracing }

func (observer) Reconciled(orderevent.BatchResult) {}
func (observer) Matched([]orderevent.Assignment)   {}
func (observer) Coalesced(int)                     {}
func (observer) Panicked()                         {}

// service is a service-order that is always available.
type service struct{ *order.HTTPClient }

func (service) Ready(context.Context) error { return nil }
func (service) Tripped() bool               { return false }

// store saves nothing.
type store struct{ orderevent.Tx }

func (s store) InTx(_ context.Context, fn func(orderevent.Tx) error) error { return fn(s) }
func (store) LockOrders(context.Context, []courier.OrderID) (map[courier.OrderID]orderevent.Order, error) {
	return nil, nil
}

func (store) SaveAndCommit(context.Context, []orderevent.Change, []orderevent.DeadLetter, int) (orderevent.Effects, error) {
	return orderevent.Effects{}, nil
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

// TestBatchIsOneTrace: its span has links to the traces of its records, the spans of its
// phases and GETs are its children, and service-order gets the traceparent.
func TestBatchIsOneTrace(t *testing.T) {
	var received string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received = r.Header.Get("traceparent")
		_, _ = io.WriteString(w, `{"id":"o-1","status":"created"}`)
	}))
	defer server.Close()
	exporter := tracetest.NewInMemoryExporter()
	spans := tracing.New(trace.NewSimpleSpanProcessor(exporter))
	client, err := order.NewHTTPClient(order.Config{BaseURL: server.URL, Timeout: 10 * time.Second, Concurrency: 1, Wrap: spans.Client})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	o := observer{spans}
	r := orderevent.NewReconciler(service{client}, store{}, orderevent.NewMatcher(nil, o), o, slog.New(slog.DiscardHandler), 4)
	hints := []orderevent.Hint{{OrderID: "o-1", Trace: []byte(traceparent)}, {OrderID: "o-1", Trace: []byte(traceparent)}, {OrderID: "o-1", Trace: []byte("nonsense")}, {OrderID: "o-1"}}
	if err := r.Reconcile(t.Context(), orderevent.Batch{Hints: hints}, nil); err != nil {
		t.Fatal(err)
	}
	all := exporter.GetSpans()
	batch, fetch, get := named(t, all, "batch"), named(t, all, "fetch"), named(t, all, "GET service-order")
	if len(batch.Links) != 1 || batch.Links[0].SpanContext.TraceID().String() != traceOfRecord {
		t.Errorf("links %+v, want the record's trace once", batch.Links)
	}
	for _, s := range []tracetest.SpanStub{fetch, named(t, all, "save"), named(t, all, "commit")} {
		if s.Parent.SpanID() != batch.SpanContext.SpanID() {
			t.Errorf("%s is not a child of the batch", s.Name)
		}
	}
	if get.Parent.SpanID() != fetch.SpanContext.SpanID() {
		t.Error("the GET is not a child of fetch")
	}
	if want := "00-" + batch.SpanContext.TraceID().String() + "-" + get.SpanContext.SpanID().String() + "-01"; received != want {
		t.Errorf("service-order received %q, want %q", received, want)
	}
	spans.Close(t.Context())
}

// TestServerAndLogShareTheTrace of the client's request.
func TestServerAndLogShareTheTrace(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	spans := tracing.New(trace.NewSimpleSpanProcessor(exporter))
	var text bytes.Buffer
	log := slog.New(tracing.LogHandler(slog.NewJSONHandler(&text, nil))).With(slog.String("a", "b"))
	h := spans.Server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Pattern = "GET /couriers"
		log.InfoContext(r.Context(), "served")
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/couriers", http.NoBody)
	r.Header.Set("traceparent", traceparent)
	h.ServeHTTP(httptest.NewRecorder(), r)
	span := named(t, exporter.GetSpans(), "GET /couriers")
	if span.SpanContext.TraceID().String() != traceOfRecord {
		t.Errorf("the trace is %s, want the client's", span.SpanContext.TraceID())
	}
	for _, want := range []string{`"a":"b"`, `"trace_id":"` + traceOfRecord + `"`, `"span_id":"` + span.SpanContext.SpanID().String() + `"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log %s has no %s", text.String(), want)
		}
	}
	text.Reset()
	log.InfoContext(t.Context(), "outside")
	if strings.Contains(text.String(), "trace_id") {
		t.Errorf("a log line without a trace: %s", text.String())
	}
}

// TestSpansHaveNoClientData: no address, no user agent, and no path, which may hold
// anything.
func TestSpansHaveNoClientData(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	spans := tracing.New(trace.NewSimpleSpanProcessor(exporter))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/courier/zebra?phone=zebra", http.NoBody)
	r.RemoteAddr = "192.0.2.77:7777"
	r.Header.Set("X-Forwarded-For", "192.0.2.77")
	r.Header.Set("User-Agent", "zebra")
	spans.Server(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	attributes := fmt.Sprint(named(t, exporter.GetSpans(), "http").Attributes)
	if strings.Contains(attributes, "zebra") || strings.Contains(attributes, "192.0.2.77") || strings.Contains(attributes, "7777") {
		t.Errorf("attributes %s", attributes)
	}
	if !strings.Contains(attributes, "404") {
		t.Errorf("attributes %s, want the status", attributes)
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

// TestCollectorIsUnavailable: spans are lost, Close does not wait, and the log has the
// outage and the SDK's error about an invalid variable.
func TestCollectorIsUnavailable(t *testing.T) {
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
	if len(lines) != 2 || !strings.Contains(lines[0], "now_and_then") || !strings.Contains(lines[1], "component=traces") {
		t.Errorf("want a line about the sampler and one about the collector, got:\n%s", text.String())
	}
}

// TestSDKLogsNoSecret: the SDK's own log would show a header that it cannot read.
func TestSDKLogsNoSecret(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer sesame")
	var text bytes.Buffer
	spans, err := tracing.Open(t.Context(), "http://127.0.0.1:1", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	spans.Close(t.Context())
	if got := text.String(); !strings.Contains(got, "parse headers") || strings.Contains(got, "sesame") {
		t.Errorf("want a line without the header, got:\n%s", got)
	}
}

// TestServerKeepsTheResponseController: the live feed sets its own deadlines and
// flushes.
func TestServerKeepsTheResponseController(t *testing.T) {
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
