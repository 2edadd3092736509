package app

import (
	"context"
	"log/slog"
	"net/http"

	"google.golang.org/grpc"

	"service-courier/internal/config"
	"service-courier/internal/gateway/order"
	"service-courier/internal/tracing"
)

// connectOrderService creates the clients of service-order. They connect with their first
// fetch.
func (a *App) connectOrderService(cfg config.Config, spans *tracing.Tracing, log *slog.Logger) (err error) {
	var wrap func(http.RoundTripper) http.RoundTripper
	var options []grpc.DialOption
	if spans != nil {
		wrap, options = spans.Client, []grpc.DialOption{spans.GRPCClient()}
	}
	a.httpClient, err = order.NewHTTPClient(order.Config{BaseURL: cfg.OrderServiceURL, Timeout: fetchTimeout, Concurrency: orderConns, Wrap: wrap})
	if err != nil {
		return err
	}
	a.closers.Add("client of service-order", func(context.Context) error { a.httpClient.Close(); return nil })
	a.breaker = order.NewBreaker(a.metrics.MeasureFetches("http", a.httpClient), a.httpClient, log)
	a.orderService = a.breaker
	if cfg.OrderServiceGRPCAddr == "" {
		return nil
	}
	client, err := order.NewGRPCClient(order.GRPCConfig{
		Addr: cfg.OrderServiceGRPCAddr, TLS: cfg.OrderServiceGRPCTLS, Timeout: fetchTimeout, Options: options,
	})
	if err != nil {
		return err
	}
	a.closers.Add("gRPC client of service-order", func(context.Context) error { return client.Close() })
	a.dual = order.NewDualClient(a.breaker, a.metrics.MeasureFetches("grpc", client), client, cfg.OrderServicePrefer == config.PreferGRPC)
	a.orderService = a.dual
	return nil
}
