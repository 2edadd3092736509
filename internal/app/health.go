package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"service-courier/internal/config"
)

// healthTimeout is what a probe has: more than /readyz takes at most.
const healthTimeout = 4 * time.Second

// Health asks the service that runs beside it, at HTTP_ADDR, whether it lives
// or, with ready, whether it has all it needs. An error is a no.
func Health(ctx context.Context, ready bool, out io.Writer) error {
	addr, err := config.LoadHTTPAddr()
	if err != nil {
		return err
	}
	path := "/livez"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := probe(ctx, "http://"+reachable(addr)+path); err != nil {
		return err
	}
	fmt.Fprintln(out, "ok")
	return nil
}

// reachable turns an address to listen on into one to dial.
func reachable(addr string) string {
	host, port, _ := net.SplitHostPort(addr) // config has checked it
	switch ip := net.ParseIP(host); {
	case host == "":
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// probe returns nil when url answers 200.
func probe(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy of the environment
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the service does not answer (is it running, with this HTTP_ADDR?): %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("%s answers %d%s", url, resp.StatusCode, lacking(resp.Body))
}

// lacking names the parts that /readyz calls failing; "" when it says nothing
// of the kind.
func lacking(body io.Reader) string {
	var answer struct {
		Parts []struct {
			Name, Status, Detail string
			Required             bool
		}
	}
	if err := json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&answer); err != nil {
		return ""
	}
	var failing []error
	for _, p := range answer.Parts {
		if p.Required && p.Status != "ok" {
			failing = append(failing, fmt.Errorf("%s: %s", p.Name, p.Detail))
		}
	}
	if len(failing) == 0 {
		return ""
	}
	return ": " + strings.ReplaceAll(errors.Join(failing...).Error(), "\n", "; ")
}
