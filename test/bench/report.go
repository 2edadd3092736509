package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// printer is the report of a measurement.
type printer interface{ print() string }

// result is one row of a report. A change is an order assigned or completed.
type result struct {
	Name          string             `json:"name"`
	Rate          float64            `json:"per_second"`              // changes; GETs
	OfGETs        float64            `json:"of_pure_gets"`            // Rate as a ratio
	OfSingle      float64            `json:"of_single,omitempty"`     // Rate as a multiple of one transaction per event
	Events        float64            `json:"events_per_second"`       // events read
	Seconds       float64            `json:"seconds"`                 // measured
	Start         float64            `json:"start_seconds,omitempty"` // from the service's start until it has its partitions
	GETs          float64            `json:"gets_per_event"`
	GETsPerChange float64            `json:"gets_per_change"`
	CPU           map[string]float64 `json:"cpu_us_per_change,omitempty"` // by program
	WAL           float64            `json:"wal_bytes_per_change"`
	Commits       float64            `json:"commits_per_change"`
	RolledBack    float64            `json:"rolled_back"` // share of transactions
	Allocations   float64            `json:"allocations_per_change"`
	PeakMB        float64            `json:"peak_rss_mb"`
}

// then returns r and next together, as changes that take both loads.
func (r result) then(next result) result {
	sum := result{Seconds: r.Seconds + next.Seconds, CPU: make(map[string]float64), PeakMB: max(r.PeakMB, next.PeakMB)}
	sum.Rate = r.Rate * r.Seconds / sum.Seconds
	sum.Events = 2 * sum.Rate
	sum.GETs, sum.GETsPerChange = (r.GETs+next.GETs)/2, r.GETs+next.GETs
	for name := range r.CPU {
		sum.CPU[name] = r.CPU[name] + next.CPU[name]
	}
	sum.WAL, sum.Allocations, sum.Commits = r.WAL+next.WAL, r.Allocations+next.Allocations, r.Commits+next.Commits
	return sum
}

// and returns the whole of a load whose halves are r and other.
func (r result) and(other result) result {
	whole, mean := r, func(a, b float64) float64 { return (a + b) / 2 }
	whole.Seconds = r.Seconds + other.Seconds
	whole.Rate = (r.Rate*r.Seconds + other.Rate*other.Seconds) / whole.Seconds
	whole.Events = (r.Events*r.Seconds + other.Events*other.Seconds) / whole.Seconds
	whole.Start, whole.PeakMB = mean(r.Start, other.Start), max(r.PeakMB, other.PeakMB)
	whole.GETs, whole.GETsPerChange = mean(r.GETs, other.GETs), mean(r.GETsPerChange, other.GETsPerChange)
	whole.WAL, whole.Commits, whole.RolledBack = mean(r.WAL, other.WAL), mean(r.Commits, other.Commits), mean(r.RolledBack, other.RolledBack)
	whole.Allocations, whole.CPU = mean(r.Allocations, other.Allocations), make(map[string]float64)
	for _, half := range []result{r, other} {
		for program, us := range half.CPU {
			whole.CPU[program] += us / 2
		}
	}
	return whole
}

const resultHeading = "                        per second  of GETs  of 1-by-1  events/s  GETs/event  GETs/change  WAL B  rolled back   allocs  peak MB   CPU µs per change\n"

func (r result) row() string {
	dash := func(format string, v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}
	return fmt.Sprintf("%-22s %11.0f %8s %10s %9.0f %11s %12s %6s %12s %8s %8s   %s\n",
		r.Name, r.Rate, dash("%.2f", r.OfGETs), dash("%.1f", r.OfSingle), r.Events, dash("%.2f", r.GETs), dash("%.2f", r.GETsPerChange),
		dash("%.0f", r.WAL), fmt.Sprintf("%.2f %%", 100*r.RolledBack), dash("%.0f", r.Allocations), dash("%.0f", r.PeakMB), cpuText(r.CPU))
}

func cpuText(us map[string]float64) string {
	var programs []string
	for _, program := range slices.Sorted(maps.Keys(us)) {
		programs = append(programs, fmt.Sprintf("%s %.0f", program, us[program]))
	}
	return strings.Join(programs, ", ")
}

const legend = `
pure GETs  the service's HTTP client, 256 connections, in a process of its own, no other load; measured
           before and after, the ratios are to the mean
pure gRPC  the same over gRPC, on the service's one connection
one by one the same code and statements, one transaction per event and one more per assignment, on as many
           connections as the topic has partitions; without Kafka
created    events published beforehand; from the moment the service has its partitions until every order is
           assigned (committed, fsync on)
completed  the same, service restarted, until every delivery is completed
gRPC first ORDER_SERVICE_PREFER=grpc: a fetch is a call over gRPC, and a GET only if that fails. Created and
           completed run with half of the orders each: over HTTP, gRPC first twice, over HTTP
mixed      created and completed interleaved, three events each, shuffled over the partitions
change     an order assigned or completed
CPU        of each program, including the service's start; "others" is the rest of the machine: unless it is
           close to zero, the rates are too low and the ratios unreliable
latency    created events at a steady rate, from the moment each was due until the COMMIT that assigned its
           order (PostgreSQL's timestamp). alone: no other load; GET and COMMIT one after the other, Kafka
           until a bare consumer has the event
verified   counts of orders, couriers, deliveries and journal, and all invariants
`

func (t table) print() string {
	var text strings.Builder
	text.WriteString(resultHeading)
	for _, r := range t.Rows {
		text.WriteString(r.row())
	}
	fmt.Fprintf(&text, "\ngRPC first: %.2f times the rate of created over HTTP, %.2f of completed\n", t.CreatedGRPC, t.CompletedGRPC)
	if len(t.Latencies) > 0 {
		fmt.Fprintf(&text, "\n%-22s %8s %8s %8s   ms\n", "latency", "p50", "p99", "max")
		line := func(name string, l latency) {
			fmt.Fprintf(&text, "%-22s %8.2f %8.2f %8.2f\n", name, l.P50, l.P99, l.Max)
		}
		line("GET alone", t.GET)
		line("COMMIT alone", t.COMMIT)
		line(fmt.Sprintf("Kafka alone, %d/s", t.Kafka.Rate), t.Kafka)
		for _, l := range t.Latencies {
			line(fmt.Sprintf("%d per second", l.Rate), l)
			if l.Rate == targetRate {
				fmt.Fprintf(&text, "%-22s %8s %8.2f   times p99 of GET and COMMIT alone\n", "", "", l.P99/(t.GET.P99+t.COMMIT.P99))
			}
		}
	}
	return text.String() + legend
}

func printJSON(out io.Writer, report printer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
