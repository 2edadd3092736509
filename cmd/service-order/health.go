package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"service-courier/internal/dev/ordersim"
)

const healthTimeout = 3 * time.Second

// health is a health check for containers without an HTTP client.
func health() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Check whether the simulator answers; exit code 0 or 1", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			return probe(ctx, cmp.Or(os.Getenv("HTTP_ADDR"), ordersim.DefaultConfig().Addr))
		},
	}
}

// dialAddress returns the address at which a server that listens on addr answers.
func dialAddress(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q of the simulator (--server or HTTP_ADDR): want host:port, such as 127.0.0.1:8080", addr)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}

// probe requests the list of orders: the original has no health endpoint.
func probe(ctx context.Context, addr string) error {
	host, err := dialAddress(addr)
	if err != nil {
		return err
	}
	list := url.URL{
		Scheme: "http", Host: host, Path: "/public/api/v1/orders",
		RawQuery: "from=" + url.QueryEscape(time.Now().UTC().Format(time.RFC3339)), // few orders
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, list.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy of the environment
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("service-order does not answer; is it running with this HTTP_ADDR? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", list.Path, resp.StatusCode)
	}
	return nil
}
