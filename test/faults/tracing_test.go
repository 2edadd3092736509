package faults

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"service-courier/internal/config"
)

// TestTracesReachACollector: a replica sends one trace per batch over OTLP, linked to the
// event's trace, from the GET to the COMMIT, and one per page that the outbox publishes.
func TestTracesReachACollector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.front.unlisted.Store(true)
	w.sim.Mute(true)
	sent := newSpanCollector(t)
	replica := w.spawn(publishing, func(c *config.Config) { c.OTLPTraces = sent.server.URL + "/v1/traces" })
	w.joined(replica)
	w.eventually("the outbox begins", func() bool { return w.count("SELECT count(*) FROM outbox") == 1 })
	id := w.create(1)[0]
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	w.send([]*sarama.ProducerMessage{{
		Topic: topic, Value: sarama.StringEncoder(fmt.Sprintf(`{"order_id":%q,"status":"created"}`, id)),
		Headers: []sarama.RecordHeader{{Key: []byte("traceparent"), Value: []byte("00-" + traceID + "-b7ad6b7169203331-01")}},
	}})
	w.converges()
	w.publishedEvents()
	w.check(replica.Stop(10 * time.Second)) // sends the remaining spans
	batch := sent.named(t, "batch", func(s *trace.Span) bool {
		return len(s.GetLinks()) == 1 && hex.EncodeToString(s.GetLinks()[0].GetTraceId()) == traceID
	})
	for _, name := range []string{"fetch", "GET service-order", "save", "commit"} {
		sent.named(t, name, func(s *trace.Span) bool { return string(s.GetTraceId()) == string(batch.GetTraceId()) })
	}
	sent.named(t, "publish", func(s *trace.Span) bool { return s.GetKind() == trace.Span_SPAN_KIND_PRODUCER })
}

// spanCollector is an OTLP collector over HTTP.
type spanCollector struct {
	server *httptest.Server

	mu    sync.Mutex
	spans []*trace.Span
}

func newSpanCollector(t *testing.T) *spanCollector {
	t.Helper()
	c := &spanCollector{}
	c.server = httptest.NewServer(c)
	t.Cleanup(c.server.Close)
	return c
}

func (c *spanCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request collector.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, " ", err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// named returns the first span with this name for which wanted is true.
func (c *spanCollector) named(t *testing.T, name string, wanted func(*trace.Span) bool) *trace.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.GetName() == name && wanted(s) {
			return s
		}
	}
	t.Fatalf("no matching span %q among %d", name, len(c.spans))
	return nil
}
