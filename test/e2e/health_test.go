package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// want returns what differs, or nil.
func want[T any](want, got T) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("want -, have +:\n%s", diff)
	}
	return nil
}

// ready returns nil when /readyz says that everything is there.
func (s *stack) ready() error {
	status, failing, err := s.readyz()
	switch {
	case err != nil:
		return err
	case status != http.StatusOK || len(failing) > 0:
		return fmt.Errorf("/readyz is %d, failing: %v", status, failing)
	}
	return nil
}

// readyz returns the status and the names of the parts that fail.
func (s *stack) readyz() (status int, failing []string, err error) {
	var body struct {
		Parts []struct{ Name, Status string }
	}
	status, err = s.get("/readyz", &body)
	for _, p := range body.Parts {
		if p.Status != "ok" {
			failing = append(failing, p.Name)
		}
	}
	return status, failing, err
}

// reconciled is how many hints the service has reconciled, of its own metrics.
func (s *stack) reconciled() (float64, error) {
	const counter = "courier_hints_total "
	resp, err := s.ask("/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), counter); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", counter)
}

// ask is a GET of the service; the caller closes the answer's body.
func (s *stack) ask(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.serviceAddr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return s.http.Do(req)
}

// get asks the service and decodes its answer.
func (s *stack) get(path string, into any) (status int, err error) {
	resp, err := s.ask(path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}
