package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"service-courier/test/e2e/program"
)

// services are the running replicas.
type services []service

type service struct {
	*program.Process
	log string // file
}

// serve starts replicas of the service, each with a directory and a log of its own.
// With an error it returns those it started.
func (s *stack) serve(ctx context.Context, name string, replicas int) (all services, err error) {
	for i := range replicas {
		dir := filepath.Join(s.dir, strings.ReplaceAll(name, " ", "-"), strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return all, err
		}
		one, err := s.serveIn(ctx, dir)
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *stack) serveIn(ctx context.Context, dir string) (one service, err error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return one, err
	}
	defer log.Close() // the process has its own descriptor
	one.log = log.Name()
	one.Process, err = program.Start(ctx, program.Command{
		Path: filepath.Join(s.dir, "service-courier"), Args: []string{"serve"}, Dir: dir, Log: log,
		Env: append([]string{
			"HTTP_ADDR=127.0.0.1:0", "DATABASE_URL=" + s.postgres.URL(database), "ORDER_SERVICE_URL=" + s.orders.url(),
			"KAFKA_BROKERS=" + s.kafka.Addr(), "KAFKA_ORDER_TOPIC=" + topic, "KAFKA_GROUP_ID=" + group,
		}, s.settings...),
	})
	return one, err
}

// joined waits until every replica has partitions and returns when the last got them.
func (all services) joined(ctx context.Context) (last time.Time, err error) {
	for _, s := range all {
		var line logLine
		for line.Msg == "" {
			if line, err = s.find("consumer group joined"); err != nil {
				return last, err
			}
			select {
			case <-ctx.Done():
				return last, fmt.Errorf("consumer group not joined: %w", context.Cause(ctx))
			case <-s.Done():
				return last, fmt.Errorf("a replica ended with exit code %d", s.ExitCode())
			case <-time.After(10 * time.Millisecond):
			}
		}
		if line.Time.After(last) {
			last = line.Time
		}
	}
	return last, nil
}

type logLine struct {
	Time time.Time
	Msg  string
	Addr string
}

// find returns the first log line with that message, or an empty one.
func (s service) find(msg string) (logLine, error) {
	content, err := os.ReadFile(s.log)
	for l := range bytes.Lines(content) {
		var line logLine
		if json.Unmarshal(l, &line) == nil && line.Msg == msg {
			return line, nil
		}
	}
	return logLine{}, err
}

func (all services) ended() error {
	for _, s := range all {
		if !s.Running() {
			return fmt.Errorf("a replica ended with exit code %d", s.ExitCode())
		}
	}
	return nil
}

// tail returns the end of every log.
func (all services) tail() string {
	var out strings.Builder
	for _, s := range all {
		content, _ := os.ReadFile(s.log)
		fmt.Fprintf(&out, "log of a replica:\n%s\n", content[max(0, len(content)-4000):])
	}
	return out.String()
}

// measure sets the highest peak memory of a replica and adds up all allocations.
func (all services) measure(ctx context.Context, r *result, changes int) error {
	for _, s := range all {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
		if err != nil {
			return nil //nolint:nilerr // without /proc this is not measured
		}
		for l := range strings.Lines(string(status)) {
			if kb, ok := strings.CutPrefix(l, "VmHWM:"); ok {
				n, _ := strconv.ParseFloat(strings.Fields(kb)[0], 64)
				r.PeakMB = max(r.PeakMB, n/1024)
			}
		}
		listening, err := s.find("listening")
		if err != nil {
			return err
		}
		mallocs, err := metric(ctx, listening.Addr, "go_memstats_mallocs_total")
		if err != nil {
			return err
		}
		r.Allocations += mallocs / float64(changes)
	}
	return nil
}

// metric reads one value of a replica's metrics.
func metric(ctx context.Context, addr, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	return 0, fmt.Errorf("metric %s not found", name)
}
