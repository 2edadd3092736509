package devmode

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"service-courier/internal/dev/devkafka"
	"service-courier/internal/dev/ordersim"
)

// banner shows the address of each component, where the data is, and commands to
// try. They work as shown; with --quiet the user has to fill in an order id.
func (e *environment) banner(firstOrder string) string {
	orders := "an order every 14 s, and bursts"
	if e.cfg.Quiet {
		orders = "simulated; create orders yourself"
	}
	service := "API at /docs, /readyz, /metrics"
	if !e.ready {
		service = "joining its group; see /readyz"
	}
	data := "temporary; --data DIR keeps it"
	if e.cfg.DataDir != "" {
		data = "kept in " + e.cfg.DataDir
	}
	var b strings.Builder
	playground := "http://" + e.service.Addr() + "/ui/playground" // the longest address
	row := func(name, addr, about string) {
		fmt.Fprintf(&b, "  %-13s %-*s %s\n", name, len(playground), addr, about)
	}
	b.WriteString("\nservice-courier dev\n\n")
	row("board", "http://"+e.service.Addr()+"/ui/", "orders and couriers, live, in the browser")
	events := "records and what became of each"
	if e.cfg.EventsAddr == "" {
		events = portTaken(e.service.EventsAddr(), 0, DefaultEventsPort) + events
	}
	row("events", "http://"+e.service.EventsAddr(), events)
	row("playground", playground, "cause faults, watch the service recover")
	row("service", "http://"+e.service.Addr(), portTaken(e.service.Addr(), e.cfg.HTTPPort, DefaultHTTPPort)+service)
	row("service-order", "http://"+e.sim.Addr(), portTaken(e.sim.Addr(), e.cfg.OrderPort, DefaultOrderPort)+orders)
	row("kafka", e.kafka.Addr(), portTaken(e.kafka.Addr(), e.cfg.KafkaPort, devkafka.DefaultPort)+"topic "+topic)
	row("postgresql", loopback(e.postgres.Port()), "database "+database+"; credentials below")
	fmt.Fprintf(&b, "  %-13s %s\n", "data", data)
	b.WriteString("\nTry in another terminal:\n\n")
	for _, example := range e.examples(firstOrder) {
		fmt.Fprintf(&b, "  %s:\n    %s\n", example[0], example[1])
	}
	b.WriteString("\nOrders, in local time. Press Ctrl-C to stop.\n\n")
	return b.String()
}

// portTaken explains why a component does not have its default port.
func portTaken(addr string, requested, standard int) string {
	_, port, _ := net.SplitHostPort(addr) // of a listener
	if requested != 0 || port == strconv.Itoa(standard) {
		return ""
	}
	return fmt.Sprintf("(%d is taken) ", standard)
}

// examples are titles with commands.
func (e *environment) examples(firstOrder string) [][2]string {
	service, orders := "http://"+e.service.Addr(), "http://"+e.sim.Addr()+"/public/api/v1/order"
	control := "curl -X POST 'http://" + e.sim.Addr() + ordersim.ControlPath
	cancel := "cancel the first order"
	if firstOrder == "" {
		cancel, firstOrder = "cancel an order by its id", "ORDER_ID"
	}
	return [][2]string{
		{"list couriers", "curl " + service + "/couriers"},
		{"register a courier", "curl " + service + "/courier -H 'Content-Type: application/json' \\\n      -d '" + newCourier() + "'"},
		{"create an order", "curl " + orders + " -H 'X-Bypass-Auth: true' \\\n      -d '" + newOrder + "'"},
		{cancel, "curl -X DELETE -H 'X-Bypass-Auth: true' \\\n      " + orders + "/" + firstOrder},
		{"before other commands, such as orders list or doctor", e.settings()},
		{"query the database with psql", e.query()},
		{"create 20 orders", control + "/orders?count=20'"},
		{"publish every event twice and shuffled", control + "/faults?duplicate=1&shuffle=2s'"},
		{"make service-order fail for ten seconds", control + "/faults?fail=10s'"},
	}
}

const newOrder = `{"restaurant_id":"r","items":[{"name":"Pie"}],"total_price":9,"address":{"street":"Arbat"}}`

// newCourier has a phone that no courier of an earlier run has.
func newCourier() string {
	return fmt.Sprintf(`{"name":"Lev","phone":"+7%010d","status":"available","transport_type":"car"}`, time.Now().Unix())
}

// settings is the line that gives other commands this environment.
func (e *environment) settings() string {
	return fmt.Sprintf("export DATABASE_URL=\"postgres://postgres:$(cat \\\n      %s \\\n      )@%s/%s\" \\\n      KAFKA_BROKERS=%s ORDER_SERVICE_URL=http://%s \\\n      COURIER_URL=http://%s",
		shellWord(e.postgres.PasswordFile()), loopback(e.postgres.Port()), database, e.kafka.Addr(), e.sim.Addr(), e.service.Addr())
}

// query does not show the password: every user of the machine could read it from the
// command line of psql.
func (e *environment) query() string {
	return fmt.Sprintf("PGPASSWORD=\"$(cat \\\n      %s)\" \\\n      psql -h 127.0.0.1 -p %d -U postgres %s -c 'table couriers'",
		shellWord(e.postgres.PasswordFile()), e.postgres.Port(), database)
}

// shellWord quotes a path for a shell if needed.
func shellWord(path string) string {
	if !strings.ContainsAny(path, " \t\n'\"\\$`!*?[](){}<>|&;#~") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// openBoard shows the board in the user's browser. Without one, its address is in the
// banner.
func (e *environment) openBoard(ctx context.Context) {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	show := exec.CommandContext(context.WithoutCancel(ctx), program, "http://"+e.service.Addr()+"/ui/")
	if err := show.Start(); err != nil {
		fmt.Fprintf(e.out, "cannot open a browser (%v); open http://%s/ui/\n\n", err, e.service.Addr())
		return
	}
	go func() { _ = show.Wait() }() // the browser outlives dev
}
