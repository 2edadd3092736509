package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"service-courier/internal/cli/client"
	"service-courier/internal/cli/output"
	"service-courier/internal/storage/postgres"
)

// The checks of a running server besides its components.
const (
	checkServer = "server"
	checkToken  = "token"
	checkLag    = "lag"
)

// RunServer is Run for a running server, over its API: it needs none of the server's settings.
func RunServer(ctx context.Context, c *client.Client, w output.Writer) error {
	return serverCheck{c, answerTimeout}.diagnose(ctx).print(w)
}

// serverCheck checks a running server, whose answers it awaits for a limited time.
type serverCheck struct {
	*client.Client
	timeout time.Duration
}

func (c serverCheck) diagnose(ctx context.Context) Report {
	rest := []string{checkClock, checkToken, checkLag, checkRechecks, checkQueue, checkMissing, checkDeadLetters}
	sent := time.Now()
	ready, err := bounded(ctx, c.timeout, c.Readiness)
	if err != nil {
		return append(Report{c.serverFinding(err)}, unknown("depends on "+checkServer, rest...)...)
	}
	report := Report{okay(checkServer, c.URL()+" answers")}
	if !ready.Date.IsZero() {
		report = append(report, serverClockFinding(ready.Date, sent, time.Now()))
	}
	report = append(report, componentFindings(ready)...)
	token, allowed := c.tokenFinding(ctx)
	report = append(report, token)
	if !allowed {
		return append(report, unknown("it needs a token", rest[2:]...)...)
	}
	return append(report, c.consumerFindings(ctx)...)
}

func bounded[T any](ctx context.Context, timeout time.Duration, get func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return get(ctx)
}

const fixLog = "see the log of the server"

// getJSON reads an answer of the API. The server has answered before.
func (c serverCheck) getJSON(ctx context.Context, path string, into any) error {
	answer, err := bounded(ctx, c.timeout, func(ctx context.Context) (json.RawMessage, error) { return c.Get(ctx, path, nil) })
	silent, unreached := errors.AsType[*client.UnreachableError](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("GET %s: no answer within %v", path, c.timeout)
	case unreached:
		return fmt.Errorf("GET %s: the connection failed: %w", path, silent.Err)
	case err != nil:
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("GET %s: the answer is not that of a service-courier: %w", path, err)
	}
	return nil
}

// serverFinding is why /readyz has no answer of a service-courier.
func (c serverCheck) serverFinding(err error) Finding {
	if refused, ok := errors.AsType[*client.APIError](err); ok && refused.Status == http.StatusMisdirectedRequest {
		return failure(checkServer, err.Error(), "add the host name to the server's HTTP_ALLOWED_HOSTS")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return failure(checkServer, fmt.Sprintf("no answer of %s within %v", c.URL(), c.timeout), "see the log of the server; if it has no new lines, restart it, or correct --server")
	}
	if silent, ok := errors.AsType[*client.UnreachableError](err); ok {
		return failure(checkServer, fmt.Sprintf("%s does not answer: %v", c.URL(), silent.Err),
			"start the server, or correct --server; a container publishes its port, and serve listens on loopback only without API_TOKENS")
	}
	return failure(checkServer, err.Error(), "correct --server: another program answers there")
}

// serverClockFinding compares with a time that was cut off to the second.
func serverClockFinding(server, sent, received time.Time) Finding {
	const resolution = time.Second
	switch {
	case server.Add(resolution).Before(sent.Add(-maxClockOffset)):
		return warning(checkClock, "the server's is "+roughly(sent.Sub(server))+" behind this machine's", "synchronise both clocks")
	case server.After(received.Add(maxClockOffset)):
		return warning(checkClock, "the server's is "+roughly(server.Sub(received))+" ahead of this machine's", "synchronise both clocks")
	}
	return okay(checkClock, "differs from the server's by less than "+roughly(maxClockOffset+resolution))
}

// componentChecks are the checks of the components of /readyz whose names differ.
var componentChecks = map[string]string{"consumer_group": checkGroup, "order_service": checkOrders}

func componentFindings(ready client.Readiness) []Finding {
	findings := make([]Finding, len(ready.Components))
	for i, c := range ready.Components {
		name := cmp.Or(componentChecks[c.Name], c.Name)
		findings[i] = failed(name, c.Detail, c.Fix, fixLog) // the server knows the cause
		switch {
		case c.Status == "ok":
			findings[i] = okay(name, c.Detail)
		case c.DependsOn != "":
			findings[i] = warning(name, c.Detail, "")
		case !c.Required:
			findings[i].Status = Warn
		}
	}
	return findings
}

// tokenFinding says what the caller may do, and whether that includes reading.
func (c serverCheck) tokenFinding(ctx context.Context) (f Finding, allowed bool) {
	var session struct {
		SignedIn bool   `json:"signed_in"`
		Required bool   `json:"token_required"`
		Name     string `json:"name"`
		Role     string `json:"role"`
	}
	if err := c.getJSON(ctx, "/api/v1/session", &session); err != nil {
		return failureOf(checkToken, err, fixLog), false
	}
	switch {
	case !session.Required:
		return okay(checkToken, "none is required: every caller may change orders and couriers"), true
	case session.SignedIn && session.Role == "read":
		return okay(checkToken, session.Name+": role read, it may change nothing"), true
	case session.SignedIn:
		return okay(checkToken, session.Name+": role "+session.Role), true
	case c.HasToken():
		return failure(checkToken, "the server does not know COURIER_TOKEN", "set COURIER_TOKEN to the secret of an entry of the server's API_TOKENS, without its name and role"), false
	}
	return failure(checkToken, "the server requires one", "set COURIER_TOKEN to the secret of an entry of the server's API_TOKENS"), false
}

// consumer is what the findings need of /api/v1/consumer.
type consumer struct {
	Topic         string            `json:"topic"`
	GroupID       string            `json:"group_id"`
	KafkaError    string            `json:"kafka_error"`
	KafkaFix      string            `json:"kafka_fix"` // which KafkaError ends with; "": not known
	GroupState    string            `json:"group_state"`
	GroupError    string            `json:"group_error"`
	GroupFix      string            `json:"group_fix"` // which GroupError ends with
	Members       int               `json:"members"`
	TotalLag      *int64            `json:"total_lag"` // nil: unknown
	Breaker       string            `json:"breaker"`
	Rechecks      []pendingRechecks `json:"rechecks"`
	Backlog       *backlog          `json:"backlog"` // nil: unknown
	DatabaseError string            `json:"database_error"`
}

type backlog struct {
	WaitingOrders     int     `json:"waiting_orders"`
	WaitingMissing    int     `json:"waiting_missing_orders"`
	LongestWait       float64 `json:"longest_wait_seconds"`
	HeldOrders        int     `json:"held_orders"`
	MissingOrders     int     `json:"missing_orders"`
	LongestMissing    float64 `json:"longest_missing_seconds"`
	StateLost         bool    `json:"order_service_state_lost"`
	Couriers          int     `json:"couriers"`
	AvailableCouriers int     `json:"available_couriers"`
	DeadLetters       int     `json:"dead_letters"`
	OldestDeadLetter  float64 `json:"oldest_dead_letter_seconds"`
}

type pendingRechecks struct {
	Reason      string `json:"reason"`
	Orders      int    `json:"orders"`
	Due         int    `json:"due"`
	MaxAttempts int    `json:"max_attempts"`
}

// consumerFindings are the lag, and what a dispatcher or an operator has to deal with.
func (c serverCheck) consumerFindings(ctx context.Context) []Finding {
	var now consumer
	if err := c.getJSON(ctx, "/api/v1/consumer", &now); err != nil {
		return append([]Finding{failureOf(checkLag, err, fixLog)}, unknown("depends on "+checkLag, checkRechecks, checkQueue, checkMissing, checkDeadLetters)...)
	}
	if now.Backlog == nil {
		return append([]Finding{now.lag()}, unknown(cmp.Or(now.DatabaseError, "the server is of another version"), checkRechecks, checkQueue, checkMissing, checkDeadLetters)...)
	}
	return append([]Finding{now.lag(), now.rechecks()}, now.Backlog.findings()...)
}

// findings are those of the database itself.
func (b backlog) findings() []Finding {
	return []Finding{
		queueFinding(postgres.QueueState{
			Waiting: postgres.Backlog{Count: b.WaitingOrders, Oldest: inSeconds(b.LongestWait)}, Missing: b.WaitingMissing,
			Held: b.HeldOrders, Couriers: b.Couriers, Available: b.AvailableCouriers,
		}),
		missingFinding(b.MissingOrders, inSeconds(b.LongestMissing), b.StateLost),
		deadLettersFinding(postgres.Backlog{Count: b.DeadLetters, Oldest: inSeconds(b.OldestDeadLetter)}),
	}
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (c consumer) lag() Finding {
	if c.TotalLag == nil {
		return failed(checkLag, "not known: "+c.KafkaError, c.KafkaFix, fixLog)
	}
	if c.GroupError != "" {
		return failed(checkLag, fmt.Sprintf("%d: %s", *c.TotalLag, c.GroupError), c.GroupFix, fixLog)
	}
	detail := fmt.Sprintf("%s, topic %s: %s, members: %d, lag: %d", c.GroupID, c.Topic, c.GroupState, c.Members, *c.TotalLag)
	switch {
	case c.Members == 0:
		return warning(checkLag, detail, "no replica reads the events: see the log of the server")
	case c.Breaker == "open":
		return warning(checkLag, detail+"; paused, the circuit breaker is open", "see the check "+checkOrders+"; meanwhile events wait in Kafka")
	case *c.TotalLag > maxLag:
		return warning(checkLag, detail, "add replicas or see what slows them; check again whether the lag shrinks")
	}
	return okay(checkLag, detail)
}

func (c consumer) rechecks() Finding {
	f := okay(checkRechecks, "none pending")
	orders := 0
	for _, r := range c.Rechecks {
		orders += r.Orders
		f.Detail = fmt.Sprintf("pending: %d", orders)
		f = f.with(fmt.Sprintf("%s: %d, due now: %d, at most %d attempts", r.Reason, r.Orders, r.Due, r.MaxAttempts))
		if r.MaxAttempts >= manyAttempts {
			f.Status, f.Fix = Warn, "service-courier orders list --state pending_recheck shows the errors; the rechecks continue"
		}
	}
	return f
}
