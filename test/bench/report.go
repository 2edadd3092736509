package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// printer is what a measurement found.
type printer interface{ print() string }

// The rows that others are compared with.
const (
	pureGETs        = "pure GETs"
	singleCreated   = "created, one by one"
	singleCompleted = "completed, one by one"
)

// result is what one measurement found.
type result struct {
	Name          string             `json:"name"`
	Rate          float64            `json:"per_second"`              // changes of orders; GETs
	OfGETs        float64            `json:"of_pure_gets"`            // the rate as a ratio
	OfSingle      float64            `json:"of_single,omitempty"`     // to that of one transaction an event
	Events        float64            `json:"events_per_second"`       // events read
	Seconds       float64            `json:"seconds"`                 // measured
	Start         float64            `json:"start_seconds,omitempty"` // from the start of the service until it has its partitions
	GETs          float64            `json:"gets_per_event"`
	GETsPerChange float64            `json:"gets_per_change"`
	CPU           map[string]float64 `json:"cpu_us_per_change,omitempty"` // by program
	WAL           float64            `json:"wal_bytes_per_change"`
	Commits       float64            `json:"commits_per_change"`
	RolledBack    float64            `json:"rolled_back"` // share of transactions
	Allocations   float64            `json:"allocations_per_change"`
	PeakMB        float64            `json:"peak_rss_mb"`
}

// then is one load after the other, as changes that take both.
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

const resultHeading = "                          a second  of GETs  of 1-by-1  events/s  GETs/event  GETs/change  WAL B  rolled back   allocs  peak MB   CPU µs a change\n"

func (r result) row() string {
	var cpu []string
	for _, program := range slices.Sorted(maps.Keys(r.CPU)) {
		cpu = append(cpu, fmt.Sprintf("%s %.0f", program, r.CPU[program]))
	}
	blank := func(format string, v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}
	return fmt.Sprintf("%-22s %11.0f %8s %10s %9.0f %11s %12s %6s %12s %8s %8s   %s\n",
		r.Name, r.Rate, blank("%.2f", r.OfGETs), blank("%.1f", r.OfSingle), r.Events, blank("%.2f", r.GETs), blank("%.2f", r.GETsPerChange),
		blank("%.0f", r.WAL), fmt.Sprintf("%.2f %%", 100*r.RolledBack), blank("%.0f", r.Allocations), blank("%.0f", r.PeakMB), strings.Join(cpu, ", "))
}

// legend says what the numbers are.
const legend = `
pure GETs  the service's HTTP client, 256 connections, in a process of its own, nothing else at work;
           measured before and after, the ratios are to the mean
one by one the same code and statements, a transaction for each event and one more for its assignment,
           on as many connections as the topic has partitions; without Kafka
created    events preloaded; from the moment the service is given its partitions until PostgreSQL has
           every order assigned to a courier (committed, fsync on)
completed  the same, service started anew, until PostgreSQL has every delivery completed
mixed      created and completed interleaved, three events of each, shuffled over the partitions; a change
           is an order assigned or completed
CPU        of each program, the service's start-up included; "others" is whatever else this machine did
           meanwhile: where that is not next to nothing, the rates are too low and the ratios worth little
latency    created events at a steady rate, from the moment each was due to be produced until the COMMIT that
           gave its order a courier (PostgreSQL's own time of it). alone: nothing else at work; GET and COMMIT one
           after the other, Kafka from the moment an event was due until a bare consumer has it
verified   counts of orders, couriers, deliveries and journal, and every invariant of the schema
`

func (t table) print() string {
	var text strings.Builder
	text.WriteString(resultHeading)
	for _, r := range t.Rows {
		text.WriteString(r.row())
	}
	if len(t.Latencies) > 0 {
		fmt.Fprintf(&text, "\n%-22s %8s %8s %8s   ms\n", "latency", "p50", "p99", "max")
		line := func(name string, l latency) {
			fmt.Fprintf(&text, "%-22s %8.2f %8.2f %8.2f\n", name, l.P50, l.P99, l.Max)
		}
		line("GET alone", t.GET)
		line("COMMIT alone", t.COMMIT)
		line(fmt.Sprintf("Kafka alone, %d/s", t.Kafka.Rate), t.Kafka)
		for _, l := range t.Latencies {
			line(fmt.Sprintf("%d a second", l.Rate), l)
			if l.Rate == judgedRate {
				fmt.Fprintf(&text, "%-22s %8s %8.2f   times p99 of GET and COMMIT alone\n", "", "", l.P99/(t.GET.P99+t.COMMIT.P99))
			}
		}
	}
	return text.String() + legend
}

func printJSON(out io.Writer, found printer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(found)
}
