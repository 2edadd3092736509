package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"service-courier/internal/cli/client"
)

const (
	isReady       = `{"components":[{"name":"postgresql","status":"ok","required":true,"detail":"answers"},{"name":"order_service","status":"ok","detail":"answers"}]}`
	isNotReady    = `{"components":[{"name":"schema","status":"failing","required":true,"detail":"absent; run migrate up","fix":"run migrate up"},{"name":"order_service","status":"failing","detail":"refuses connections; start service-order","fix":"start service-order"}]}`
	signedIn      = `{"signed_in":true,"token_required":true,"name":"anna","role":"read"}`
	unknownCaller = `{"signed_in":false,"token_required":true}`
	stable        = `{"topic":"t","group_id":"g","group_state":"Stable","members":1,"total_lag":3,"breaker":"closed","rechecks":[],"backlog":{"couriers":2}}`
)

// examined returns the findings about a server that gives these answers by path; others are
// those of a server without problems.
func examined(t *testing.T, token string, answers map[string]string) Report {
	t.Helper()
	usual := map[string]string{
		"/readyz": isReady, "/api/v1/session": signedIn, "/api/v1/consumer": stable,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, given := answers[r.URL.Path]
		if !given {
			answer = usual[r.URL.Path]
		}
		if date, set := answers["Date"]; set {
			w.Header().Set("Date", date)
		}
		switch answer {
		case isNotReady:
			w.WriteHeader(http.StatusServiceUnavailable)
		case "":
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	c, err := client.New(server.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	return serverCheck{c, answerTimeout}.diagnose(t.Context())
}

// TestServerThatHangs: it has answered other checks, so starting it is no remedy.
func TestServerThatHangs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
			fmt.Fprint(w, isReady)
		case "/api/v1/session":
			fmt.Fprint(w, signedIn)
		default:
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	report := serverCheck{c, time.Second}.diagnose(t.Context())
	i := slices.IndexFunc(report, func(f Finding) bool { return f.Check == checkLag })
	if f := report[i]; f.Status != Fail || f.Detail != "GET /api/v1/consumer: no answer within 1s" || f.Fix != fixLog {
		t.Errorf("\n%s", report.text())
	}
	if f := report[i+1]; f.Status != Warn || f.Detail != "not known: depends on lag" {
		t.Errorf("\n%s", report.text())
	}
}

// TestComponentsThatFail: the fix is that of the cause, which the server knows, and printed once.
func TestComponentsThatFail(t *testing.T) {
	const logs = "see the log of service-order, and of what is in front of it"
	report := examined(t, "", map[string]string{
		"/readyz": `{"components":[
			{"name":"postgresql","status":"failing","required":true,"detail":"PostgreSQL refuses connections; start it","fix":"start it"},
			{"name":"schema","status":"failing","required":true,"detail":"not known: depends on postgresql","depends_on":"postgresql"},
			{"name":"consumer_group","status":"failing","required":true,"detail":"stuck: see the log"},
			{"name":"order_service","status":"failing","detail":"service-order answers with an error; ` + logs + `","fix":"` + logs + `"}]}`,
		"/api/v1/consumer": `{"kafka_error":"Kafka refuses connections: :1; start Kafka, or correct KAFKA_BROKERS","kafka_fix":"start Kafka, or correct KAFKA_BROKERS"}`,
	})
	for _, want := range []Finding{
		failure("postgresql", "PostgreSQL refuses connections", "start it"),
		warning("schema", "not known: depends on postgresql", ""),
		failure("consumer group", "stuck: see the log", fixLog),
		warning("service-order", "service-order answers with an error", logs),
		failure("lag", "not known: Kafka refuses connections: :1", "start Kafka, or correct KAFKA_BROKERS"),
	} {
		i := slices.IndexFunc(report, func(f Finding) bool { return f.Check == want.Check })
		if i < 0 || !reflect.DeepEqual(report[i], want) {
			t.Errorf("want %+v:\n%s", want, report.text())
		}
	}
}

func backlogOf(fields string) map[string]string {
	return map[string]string{"/api/v1/consumer": strings.Replace(stable, `"couriers":2`, fields, 1)}
}

func TestServerWithoutProblems(t *testing.T) {
	report := examined(t, "secret", nil)
	if len(report) != 10 || report.Count(OK) != len(report) {
		t.Errorf("\n%s", report.text())
	}
}

func TestServerFindings(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	gone, err := client.New(dead.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		report Report
		check  string
		status Status
		text   string
	}{
		"not reached":           {serverCheck{gone, answerTimeout}.diagnose(t.Context()), checkServer, Fail, "start the server"},
		"not reached: rest":     {serverCheck{gone, answerTimeout}.diagnose(t.Context()), checkLag, Warn, "not known"},
		"another program":       {examined(t, "", map[string]string{"/readyz": ""}), checkServer, Fail, "another program"},
		"another program: rest": {examined(t, "", map[string]string{"/readyz": ""}), checkClock, Warn, "not known: depends on server"},
		"not ready":             {examined(t, "", map[string]string{"/readyz": isNotReady}), "schema", Fail, "migrate up"},
		"no service-order":      {examined(t, "", map[string]string{"/readyz": isNotReady}), checkOrders, Warn, "start service-order"},
		"clock ahead":           {examined(t, "", map[string]string{"Date": time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)}), checkClock, Warn, "ahead of"},
		"clock behind":          {examined(t, "", map[string]string{"Date": time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat)}), checkClock, Warn, "behind"},
		"role":                  {examined(t, "secret", nil), checkToken, OK, "anna: role read"},
		"no token":              {examined(t, "", map[string]string{"/api/v1/session": unknownCaller}), checkToken, Fail, "the server requires one"},
		"wrong token":           {examined(t, "secret", map[string]string{"/api/v1/session": unknownCaller}), checkToken, Fail, "does not know COURIER_TOKEN"},
		"wrong token: rest":     {examined(t, "secret", map[string]string{"/api/v1/session": unknownCaller}), checkDeadLetters, Warn, "not known"},
		"Kafka down":            {examined(t, "", map[string]string{"/api/v1/consumer": `{"kafka_error":"refused"}`}), checkLag, Fail, "refused"},
		"paused":                {examined(t, "", map[string]string{"/api/v1/consumer": strings.Replace(stable, "closed", "open", 1)}), checkLag, Warn, "circuit breaker"},
		"another member":        {examined(t, "", map[string]string{"/api/v1/consumer": strings.Replace(stable, `"members":1`, `"members":0,"group_error":"another program","group_fix":"stop it"`, 1)}), checkLag, Fail, "3: another program"},
		"no members":            {examined(t, "", map[string]string{"/api/v1/consumer": strings.Replace(stable, `"members":1`, `"members":0`, 1)}), checkLag, Warn, "no replica"},
		"behind":                {examined(t, "", map[string]string{"/api/v1/consumer": strings.Replace(stable, `"total_lag":3`, `"total_lag":10001`, 1)}), checkLag, Warn, "add replicas"},
		"rechecks":              {examined(t, "", map[string]string{"/api/v1/consumer": strings.Replace(stable, "[]", `[{"reason":"ahead","orders":2,"max_attempts":3}]`, 1)}), checkRechecks, Warn, "pending: 2"},
		"long wait":             {examined(t, "", backlogOf(`"couriers":2,"waiting_orders":17,"waiting_missing_orders":8,"longest_wait_seconds":3600,"held_orders":3`)), checkQueue, Warn, "waiting: 17 (8 missing in service-order, which get no courier), the oldest for 1h0m; on hold: 3; free couriers: 0 of 2"},
		"missing":               {examined(t, "", backlogOf(`"couriers":2,"missing_orders":9,"longest_missing_seconds":7200`)), checkMissing, Warn, "missing in service-order: 9 active, the oldest for 2h0m"},
		"state lost":            {examined(t, "", backlogOf(`"couriers":2,"missing_orders":9,"order_service_state_lost":true`)), checkMissing, Warn, "service-order lost its state"},
		"dead letters":          {examined(t, "", backlogOf(`"couriers":2,"dead_letters":1,"oldest_dead_letter_seconds":60`)), checkDeadLetters, Warn, "1 pending, the oldest for 1m0s"},
		"database down":         {examined(t, "", map[string]string{"/api/v1/consumer": `{"total_lag":0,"members":1,"rechecks":[],"database_error":"the database is unavailable"}`}), checkMissing, Warn, "the database is unavailable"},
		"older server":          {examined(t, "", map[string]string{"/api/v1/consumer": `{"total_lag":0,"members":1,"rechecks":[]}`}), checkMissing, Warn, "another version"},
		"no answer":             {examined(t, "", map[string]string{"/api/v1/consumer": ""}), checkLag, Fail, "404"},
	} {
		i := slices.IndexFunc(c.report, func(f Finding) bool { return f.Check == c.check })
		if i < 0 || c.report[i].Status != c.status || !strings.Contains(c.report[i].Detail+c.report[i].Fix, c.text) {
			t.Errorf("%s: want %s %s with %q:\n%s", name, c.status, c.check, c.text, c.report.text())
		}
	}
}
