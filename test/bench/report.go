package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// report is what a run found.
type report struct {
	options
	Cores     int    `json:"cores"`
	PureGETs  result `json:"pure_gets"`
	Created   result `json:"created"`
	Completed result `json:"completed"`
	PureAgain result `json:"pure_gets_again"`
}

// compare sets the ratios: to the mean of both measurements of the pure GETs,
// for a machine is seldom as fast at the end as at the beginning.
func (r *report) compare() {
	pure := (r.PureGETs.Rate + r.PureAgain.Rate) / 2
	for _, m := range []*result{&r.PureGETs, &r.Created, &r.Completed, &r.PureAgain} {
		m.OfGETs = m.Rate / pure
	}
}

// result is what one measurement found.
type result struct {
	Rate    float64            `json:"per_second"`
	OfGETs  float64            `json:"of_pure_gets"` // the rate as a ratio
	Seconds float64            `json:"seconds"`
	Start   float64            `json:"start_seconds,omitempty"` // from the start of the service until it has its partitions
	GETs    float64            `json:"gets_per_event"`
	CPU     map[string]float64 `json:"cpu_us_per_event,omitempty"` // by program
}

// legend says what the numbers are.
const legend = `
pure GETs  the service's HTTP client, 256 connections, in a process of its own, nothing else at work;
           measured before and after, the ratios are to the mean
created    events preloaded; from the moment the service is given its partitions until PostgreSQL has
           every order assigned to a courier (committed, fsync on; seen by polling every 10 ms)
completed  the same, service started anew, until PostgreSQL has every delivery completed
CPU        of each program, the service's start-up included; "others" is whatever else this machine did
           meanwhile: where that is not next to nothing, the rates are too low and the ratios worth little
verified   counts of orders, couriers, deliveries and journal, and every invariant of the schema
`

func (r report) print(out io.Writer) error {
	if r.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d orders, %d couriers, %d partitions; everything on one machine with %d cores\n\n",
		r.Orders, r.Couriers, r.Partitions, r.Cores)
	fmt.Fprintf(&text, "%-10s %10s %8s %9s %11s   %s\n", "", "a second", "of GETs", "seconds", "GETs/event", "CPU µs an event")
	text.WriteString(r.PureGETs.row("pure GETs") +
		r.Created.row(created.name) + r.Completed.row(completed.name) + r.PureAgain.row("pure GETs") + legend)
	_, err := io.WriteString(out, text.String())
	return err
}

func (r result) row(name string) string {
	var cpu []string
	for _, program := range slices.Sorted(maps.Keys(r.CPU)) {
		cpu = append(cpu, fmt.Sprintf("%s %.0f", program, r.CPU[program]))
	}
	return fmt.Sprintf("%-10s %10.0f %8.2f %9.2f %11.2f   %s\n", name, r.Rate, r.OfGETs, r.Seconds, r.GETs, strings.Join(cpu, ", "))
}
