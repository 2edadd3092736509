package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"service-courier/internal/cli"
)

// TestAgainstRunningServer runs every command against dev, with an order from its
// creation to its end.
func TestAgainstRunningServer(t *testing.T) {
	t.Parallel()
	dev := start(t, "dev", "--quiet")
	server := "--server=" + dev.url(t, "service")
	sim := dev.url(t, "service-order") + "/public/api/v1/order"
	dev.await(t, "Press Ctrl-C to stop")

	run := func(want int, line string) string {
		t.Helper()
		out, talk, code := invoke(t, append(strings.Fields(line), server)...)
		if code != want {
			t.Errorf("%s: exit code %d, want %d\n%s%s", line, code, want, out, talk)
		}
		return out
	}
	awaits := func(line, text string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(run(cli.ExitOK, line), text); <-time.After(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never %q:\n%s", line, text, run(cli.ExitOK, line))
			}
		}
	}

	tail := start(t, "events", "tail", "-o", "ndjson", server)
	tail.await(t, `"event":"snapshot"`)
	order := create(t, sim)
	awaits("orders list --state assigned -o ndjson", order)
	for line, text := range map[string]string{
		"couriers list --limit 2":               "ID  NAME",
		"couriers list --status busy -o json":   order,
		"couriers get 2":                        "status         available",
		"orders get " + order:                   "service-order reports",
		"orders get -o json " + order:           `"timeline"`,
		"doctor":                                "ok    token",
		"orders list":                           order,
		"orders list --state cancelled -o json": "[]\n",
		"stats --by period -o ndjson":           `"deliveries":0`,
		"stats --courier 1":                     "FROM",
		"stats --today -o ndjson":               `"deliveries":0`,
		"stats --couriers --limit 1 -o json":    `"courier_id": 1`,
		"lag -o json":                           `"committed_offset"`,
		"lag --fail-above 1000":                 "PARTITION",
		"openapi":                               `"openapi": "3.1`,
		"couriers create -o ndjson --name Lev --phone 8(900)000-00-11 --transport car": `"phone":"+79000000011"`,
	} {
		if out := run(cli.ExitOK, line); !strings.Contains(out, text) {
			t.Errorf("%s: no %q in\n%s", line, text, out)
		}
	}
	run(cli.ExitOK, "couriers change 11 --phone +79000000012")
	run(cli.ExitConflict, "couriers change 11 --phone +70000000000")
	run(cli.ExitOK, "couriers pause 11")
	run(cli.ExitOK, "couriers resume 11")
	run(cli.ExitOK, "couriers delete 11")
	run(cli.ExitNotFound, "couriers get 11")

	run(cli.ExitOK, "orders unassign --reason rain "+order)
	run(cli.ExitConflict, "orders unassign "+order)
	run(cli.ExitOK, "orders assign --courier 2 "+order)
	run(cli.ExitConflict, "couriers pause 2")
	run(cli.ExitOK, "orders unassign "+order)
	run(cli.ExitOK, "orders release "+order)
	run(cli.ExitNotFound, "orders recheck never-was")
	remove(t, sim+"/"+order)
	awaits("orders list --state cancelled", order)
	for _, state := range []string{"waiting", "assigned", "held", "assigned", "held", "cancelled"} {
		tail.await(t, `"state":"`+state+`"`)
	}
	must(t, tail.cmd.Process.Signal(os.Interrupt))
	if code := tail.exit(t); code != cli.ExitOK {
		t.Errorf("events tail: exit code %d", code)
	}

	must(t, dev.cmd.Process.Signal(os.Interrupt))
	if code := dev.exit(t); code != 0 {
		t.Errorf("dev's exit code %d", code)
	}
}

// url reads up to the banner's line with the URL of a component.
func (p *program) url(t *testing.T, part string) string {
	t.Helper()
	is := regexp.MustCompile(`^  ` + part + `\s+(http://\S+)`)
	for {
		line, err := p.out.ReadString('\n')
		if found := is.FindStringSubmatch(line); found != nil {
			return found[1]
		}
		must(t, err)
	}
}

// create creates an order in service-order and returns its id.
func create(t *testing.T, url string) string {
	t.Helper()
	const body = `{"restaurant_id":"r","items":[{"name":"Pie"}],"total_price":9,"address":{"street":"Arbat"}}`
	var order struct{ ID string }
	must(t, json.Unmarshal(asUser(t, http.MethodPost, url, body), &order))
	return order.ID
}

func remove(t *testing.T, url string) {
	t.Helper()
	asUser(t, http.MethodDelete, url, "")
}

// asUser sends a request to service-order and returns its answer.
func asUser(t *testing.T, method, url, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("X-Bypass-Auth", "true")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d %s", method, url, res.StatusCode, answer)
	}
	return answer
}
