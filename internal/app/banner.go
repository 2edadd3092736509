package app

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"service-courier/internal/devstack"
)

// banner says what runs where, whether it is kept, and what to try. Its
// commands work as they stand, save for an order's id where there is none yet.
func (d *dev) banner(firstOrder string) string {
	var b strings.Builder
	b.WriteString("\nservice-courier dev\n\n")
	for _, row := range d.rows() {
		fmt.Fprintf(&b, "  %-14s %-23s %s\n", row[0], row[1], row[2])
	}
	fmt.Fprintf(&b, "  %-14s %s\n", "data", d.kept())
	b.WriteString("\ntry, in another terminal\n\n")
	for _, try := range d.tries(firstOrder) {
		fmt.Fprintf(&b, "  %s:\n    %s\n", try[0], try[1])
	}
	b.WriteString("\nwhat happens to the orders, in local time; Ctrl-C stops everything\n\n")
	return b.String()
}

func (d *dev) rows() [][3]string {
	orders := "simulated; every 6 s an order, or a rush"
	if d.cfg.Quiet {
		orders = "simulated; orders come when you make them"
	}
	service := "couriers, /readyz, /metrics, /openapi.json"
	if !d.service.ready {
		service = "still joining its consumer group; /readyz tells when it has"
	}
	return [][3]string{
		{"service", "http://" + d.service.addr, instead(d.service.addr, d.cfg.HTTPPort, DefaultHTTPPort) + service},
		{"service-order", "http://" + d.sim.Addr(), instead(d.sim.Addr(), d.cfg.OrderPort, DefaultOrderPort) + orders},
		{"kafka", d.kafka.Addr(), instead(d.kafka.Addr(), d.cfg.KafkaPort, devstack.DefaultKafkaPort) + "topic " + devTopic},
		{"postgresql", loopback(d.postgres.Port()), "database " + devDatabase + "; log in as below"},
	}
}

// instead says that a part is not on the port where it is looked for.
func instead(addr string, asked, usual int) string {
	_, port, _ := net.SplitHostPort(addr) // of a listener
	if asked != 0 || port == strconv.Itoa(usual) {
		return ""
	}
	return fmt.Sprintf("(%d is taken) ", usual)
}

func (d *dev) kept() string {
	if d.cfg.DataDir == "" {
		return "nothing is kept: Ctrl-C removes it all; --data DIR keeps it"
	}
	return "kept in " + d.cfg.DataDir
}

// tries are commands to run, each with what it does.
func (d *dev) tries(firstOrder string) [][2]string {
	service, orders := "http://"+d.service.addr, "http://"+d.sim.Addr()+"/public/api/v1/order"
	cancel := "cancel the first order"
	if firstOrder == "" {
		cancel, firstOrder = "cancel an order, by its id", "ORDER_ID"
	}
	return [][2]string{
		{"the couriers", "curl " + service + "/couriers"},
		{"one more courier", "curl " + service + "/courier -H 'Content-Type: application/json' \\\n      -d '" + d.newCourier() + "'"},
		{"an order", "curl " + orders + " -H 'X-Bypass-Auth: true' \\\n      -d '" + newOrder + "'"},
		{cancel, "curl -X DELETE -H 'X-Bypass-Auth: true' \\\n      " + orders + "/" + firstOrder},
		d.tryDatabase(),
	}
}

const newOrder = `{"restaurant_id":"r","items":[{"name":"Pie"}],"total_price":9,"address":{"street":"Arbat"}}`

// newCourier has a phone that no courier of an earlier run has.
func (d *dev) newCourier() string {
	return fmt.Sprintf(`{"name":"Lev","phone":"+7%010d","status":"available","transport_type":"car"}`, time.Now().Unix())
}

func (d *dev) tryDatabase() [2]string {
	url, _, _ := strings.Cut(d.databaseURL(), "?") // clients find out by themselves that there is no TLS
	if _, err := exec.LookPath("psql"); err != nil {
		return [2]string{"the database, with any client (here is no psql)", url}
	}
	return [2]string{"the database", "psql " + url + " \\\n      -c 'table couriers'"}
}

// shellWord quotes a path for a shell where that needs it.
func shellWord(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool { return strings.ContainsRune(" \t\n'\"\\$`!*?[](){}<>|&;#~", r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
