package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"service-courier/internal/config"
)

// healthTimeout is more than /readyz takes.
const healthTimeout = 4 * time.Second

// Health queries whether the service at HTTP_ADDR is alive, or with ready whether it is
// ready. An error means no.
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
	if err := probe(ctx, "http://"+dialAddr(addr)+path); err != nil {
		return err
	}
	fmt.Fprintln(out, "ok")
	return nil
}

// dialAddr turns an address to listen on into one to dial.
func dialAddr(addr string) string {
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

func probe(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy of the environment
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the service does not answer; is it running with this HTTP_ADDR? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d%s", url, resp.StatusCode, failingComponents(resp.Body))
	}
	return nil
}

// failingComponents names what makes /readyz fail; "" for any other body.
func failingComponents(body io.Reader) string {
	var answer struct {
		Components []struct {
			Name, Status, Detail string
			Required             bool
		}
	}
	if err := json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&answer); err != nil {
		return ""
	}
	var failing []string
	for _, c := range answer.Components {
		if c.Required && c.Status != "ok" {
			failing = append(failing, c.Name+": "+c.Detail)
		}
	}
	if len(failing) == 0 {
		return ""
	}
	return ": " + strings.Join(failing, "; ")
}
