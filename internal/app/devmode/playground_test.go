package devmode

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"service-courier/internal/dev/citest"
)

// TestPlayground: the faults are caused over HTTP, dev survives its own stop of
// PostgreSQL, and the check finds nothing lost or double afterwards.
func TestPlayground(t *testing.T) {
	citest.Only(t, "it waits for outages of several seconds")
	t.Parallel()
	d := startDev(t, Config{Quiet: true}).up(t)
	request := func(method, path string, into any) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.service.Addr()+"/dev/v1"+path, http.NoBody)
		must(t, err)
		response, err := http.DefaultClient.Do(r)
		must(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		must(t, err)
		if into != nil {
			must(t, json.Unmarshal(text, into))
		}
		return response.StatusCode
	}
	state := func() (s playgroundState) {
		t.Helper()
		request(http.MethodGet, "/state", &s)
		return s
	}
	// healthy: a check of this many orders has found nothing.
	healthy := func(orders int) func() bool {
		return func() bool {
			c := state().Check
			return c.Orders == orders && c.Behind == 0 && c.Lost == 0 && len(c.Violations) == 0 && c.Error == ""
		}
	}
	if code := request(http.MethodPost, "/order-service/orders?count=5", nil); code != http.StatusCreated {
		t.Fatalf("create: %d", code)
	}
	eventually(t, "the service knows the orders", healthy(5))

	if code := request(http.MethodPost, "/order-service/faults?fail=30s", nil); code != http.StatusOK || !state().OrderService.Stopped {
		t.Errorf("stop service-order: %d, %+v", code, state().OrderService)
	}
	request(http.MethodPost, "/order-service/orders", nil)
	eventually(t, "the service is behind", func() bool { return state().Check.Behind == 1 })
	request(http.MethodPost, "/order-service/faults", nil)
	eventually(t, "the service has caught up", healthy(6))

	if code := request(http.MethodPost, "/postgresql/stop", nil); code != http.StatusAccepted {
		t.Fatalf("stop PostgreSQL: %d", code)
	}
	if code := request(http.MethodPost, "/postgresql/stop", nil); code != http.StatusConflict {
		t.Errorf("stop PostgreSQL again: %d", code)
	}
	eventually(t, "the check reports the outage", func() bool { return state().Check.Error != "" })
	request(http.MethodPost, "/order-service/orders", nil)
	eventually(t, "PostgreSQL runs again", func() bool { return !state().PostgreSQL.Stopped })
	eventually(t, "nothing is lost", healthy(7))
	d.end(t)
}

// TestStopWhilePostgresIsStopped: Ctrl-C ends dev at once also then.
func TestStopWhilePostgresIsStopped(t *testing.T) {
	t.Parallel()
	d := startDev(t, Config{Quiet: true}).up(t)
	end, ok := d.play.postgres.begin()
	if !ok {
		t.Fatal("already stopped")
	}
	d.play.work.Go(func() { end(d.play.ctx) })
	<-d.postgres.Done()
	d.end(t)
	d.out.await(t, "stopped; all data is removed")
}
