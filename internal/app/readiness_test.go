package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"service-courier/internal/gateway/order"
)

// TestReadyzNamesAnotherServer: what answers at ORDER_SERVICE_URL is not service-order.
func TestReadyzNamesAnotherServer(t *testing.T) {
	another := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(another.Close)
	client, err := order.NewHTTPClient(order.Config{BaseURL: another.URL, Timeout: time.Second, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	breaker := order.NewBreaker(client, client, slog.New(slog.DiscardHandler))
	if c := (readiness{orders: breaker}).orderService(t.Context()); c.OK || !strings.Contains(c.Detail, "does not look like service-order") {
		t.Errorf("%+v", c)
	}
}
