package operator

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"service-courier/internal/app"
	"service-courier/internal/cli"
	"service-courier/internal/cli/doctor"
	"service-courier/internal/cli/output"
	"service-courier/internal/dev/pgtest"
)

// nowhere is an address without a listener.
const nowhere = "127.0.0.1:1"

// diagnosis is what `doctor -o json` prints, and its error.
type diagnosis struct {
	*testing.T
	OK       bool
	Findings []doctor.Finding
	err      error
	printed  string
}

func diagnose(t *testing.T) diagnosis {
	t.Helper()
	d := diagnosis{T: t}
	d.printed, d.err = examine(t, output.JSON)
	if err := json.Unmarshal([]byte(d.printed), &d); err != nil {
		t.Fatalf("%v:\n%s", err, d.printed)
	}
	return d
}

// examine returns what `doctor` prints, and its error.
func examine(t *testing.T, format output.Format) (string, error) {
	t.Helper()
	return printed(func(out *bytes.Buffer) error { return doctor.Run(t.Context(), output.Writer{Out: out, Format: format}) })
}

// finds fails the test unless the check has this status and text.
func (d diagnosis) finds(check string, status doctor.Status, text string) {
	d.Helper()
	i := slices.IndexFunc(d.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if i < 0 {
		d.Fatalf("no finding %q:\n%s", check, d.printed)
	}
	f := d.Findings[i]
	all := strings.Join(append([]string{f.Detail, f.Fix}, f.More...), "\n")
	if f.Status != status || !strings.Contains(all, text) {
		d.Errorf("%s: %s %s\nwant %s and %q", check, f.Status, all, status, text)
	}
}

// exits fails the test unless the command fails exactly when expected.
func (d diagnosis) exits(failing bool) {
	d.Helper()
	if (d.err != nil) != failing || d.OK == failing {
		d.Errorf("ok is %t and the error %v:\n%s", d.OK, d.err, d.printed)
	}
}

func (d diagnosis) count(s doctor.Status) int { return doctor.Report(d.Findings).Count(s) }

func TestDoctorWithoutProblems(t *testing.T) {
	s := newStack(t, startKfake(t, map[string]int{topic: partitions}).Addr())
	s.exec(`INSERT INTO couriers (name, phone, status, transport_type) VALUES ('Lev', '+7', 'available', 'car')`)
	s.serve()
	s.produce(`{"order_id":"o-1","status":"created"}`)
	s.eventually("assigned", "SELECT state FROM orders")
	d := diagnose(t)
	committed := func() bool { return strings.Contains(d.printed, "lag: 0\"") }
	for deadline := time.Now().Add(patience); !committed() && time.Now().Before(deadline); d = diagnose(t) {
		<-time.After(50 * time.Millisecond) // the offset is committed within a second
	}
	d.exits(false)
	d.finds("consumer group", doctor.OK, "operator: Stable, members: 1, lag: 0")
	d.finds("topic", doctor.OK, "3 partitions, 1 records")
	for _, f := range d.Findings {
		d.finds(f.Check, doctor.OK, "")
	}
	out, err := examine(t, output.Table)
	if want := "14 checks: 14 ok, 0 warn, 0 FAIL\n"; err != nil || !strings.HasSuffix(out, want) {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestDoctorWithEverythingDown(t *testing.T) {
	newStackOn(t, nowhere, "postgres://me:sesame@"+nowhere+"/courier")
	t.Setenv("ORDER_SERVICE_URL", "http://me:sesame@"+nowhere)
	t.Setenv("KAFKA_ASSIGNMENT_TOPIC", "assignments")
	d := diagnose(t)
	d.exits(true)
	for _, check := range []string{"postgresql", "kafka", "service-order"} {
		d.finds(check, doctor.Fail, "start ")
	}
	for _, check := range []string{"clock", "schema", "indexes", "invariants", "waiting orders", "missing orders", "rechecks", "dead letters", "topic", "consumer group", "event topic"} {
		d.finds(check, doctor.Warn, "not known")
	}
	if strings.Contains(d.printed, "sesame") {
		t.Errorf("the output shows a password:\n%s", d.printed)
	}
}

// TestDoctorWithAnotherServer: the address of service-order leads to another server, which
// may have the same form of errors.
func TestDoctorWithAnotherServer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"plain 404": http.NotFound,
		"same errors": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"code":"not_found","message":"no such path"}`, http.StatusNotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			another := httptest.NewServer(handler)
			t.Cleanup(another.Close)
			newStackOn(t, nowhere, "postgres://me:sesame@"+nowhere+"/courier")
			t.Setenv("ORDER_SERVICE_URL", another.URL)
			d := diagnose(t)
			d.finds("service-order", doctor.Fail, "this does not look like service-order")
			d.finds("service-order", doctor.Fail, "correct ORDER_SERVICE_URL")
		})
	}
}

func TestDoctorWithBadSettings(t *testing.T) {
	newStackOn(t, nowhere, "postgres://"+nowhere+"/courier")
	t.Setenv("DATABASE_URL", "mysql://me:sesame@host/db")
	t.Setenv("HTTP_ADDR", "0.0.0.0:80")
	t.Setenv("KAFKA_BROKERS", "")
	t.Setenv("RESYNC_INTERVAL", "often")
	t.Setenv("ORDER_SERVICE_URL", "ftp://me:sesame@host")
	d := diagnose(t)
	d.exits(true)
	for _, setting := range []string{"HTTP_ADDR", "DATABASE_URL", "KAFKA_BROKERS", "RESYNC_INTERVAL", "ORDER_SERVICE_URL"} {
		d.finds("settings", doctor.Fail, setting)
	}
	for _, check := range []string{"postgresql", "kafka", "service-order"} {
		d.finds(check, doctor.Warn, "not known: depends on settings")
	}
	if strings.Contains(d.printed, "sesame") {
		t.Errorf("the output shows a password:\n%s", d.printed)
	}
}

// TestDoctorNamesOnlyTheInvalidSetting: a check that depends on an invalid setting has no
// other cause. Fails if doctor connects nevertheless, or reports its settings as absent.
func TestDoctorNamesOnlyTheInvalidSetting(t *testing.T) {
	all := []string{"postgresql", "kafka", "service-order", "service-order gRPC"}
	for name, tt := range map[string]struct {
		setting, value string
		unknown        []string
	}{
		"quotes":           {"KAFKA_GROUP_ID", `"g"`, all[:3]}, // no setting is read
		"broker":           {"KAFKA_BROKERS", "localhost", all[1:2]},
		"Kafka's security": {"KAFKA_TLS", "maybe", all[1:2]},
		"Kafka's password": {"KAFKA_SASL_MECHANISM", "PLAIN", all[1:2]},
		"gRPC address":     {"ORDER_SERVICE_GRPC_ADDR", "localhost", all[3:]},
		"gRPC security":    {"ORDER_SERVICE_GRPC_TLS", "maybe", all[3:]},
	} {
		t.Run(name, func(t *testing.T) {
			newStackOn(t, nowhere, "postgres://"+nowhere+"/courier")
			t.Setenv("ORDER_SERVICE_URL", "http://"+nowhere)
			t.Setenv("ORDER_SERVICE_GRPC_ADDR", nowhere)
			t.Setenv(tt.setting, tt.value)
			d := diagnose(t)
			d.finds("settings", doctor.Fail, tt.setting)
			for _, check := range tt.unknown {
				d.finds(check, doctor.Warn, "not known: depends on settings")
			}
			if want := 1 + len(all) - len(tt.unknown); name != "quotes" && d.count(doctor.Fail) != want {
				t.Errorf("%d failures, want the settings and the reachable settings' checks, %d:\n%s", d.count(doctor.Fail), want, d.printed)
			}
		})
	}
}

// Dependencies that accept connections and never answer.
func TestDoctorIsBounded(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	addr := silent.Addr().String()
	newStackOn(t, addr, "postgres://me@"+addr+"/courier")
	t.Setenv("ORDER_SERVICE_URL", "http://"+addr)
	began := time.Now()
	d := diagnose(t)
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v, want the 3 s of one check", took)
	}
	d.exits(true)
	if d.count(doctor.Fail) != 3 {
		t.Errorf("want three failures:\n%s", d.printed)
	}
}

// TestDoctorWithGroupOfNewProtocol: another program has joined the group, which brokers describe
// as dead.
func TestDoctorWithGroupOfNewProtocol(t *testing.T) {
	broker := startKfake(t, map[string]int{topic: partitions}).Addr()
	s := newStack(t, broker)
	other, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(s.cfg.KafkaGroupID), kgo.ServerSideBalancer())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	const problem, fix = "another program uses the consumer group, with the new protocol", "kafka-consumer-groups.sh --describe --members --group operator"
	d := diagnose(t)
	for deadline := time.Now().Add(patience); !strings.Contains(d.printed, problem) && time.Now().Before(deadline); d = diagnose(t) {
		<-time.After(50 * time.Millisecond) // it joins within a second
	}
	d.exits(true)
	d.finds("consumer group", doctor.Fail, problem)
	d.finds("consumer group", doctor.Fail, fix)
}

// TestDoctorOfServerWithHungKafka: the server finds that Kafka hangs before doctor stops waiting
// for it, so every other check is known, and the fix is Kafka's.
func TestDoctorOfServerWithHungKafka(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	s := newStack(t, silent.Addr().String())
	a, err := app.New(t.Context(), s.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(t.Context()) })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	server, err := cli.NewClient("http://" + a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	d := diagnosis{T: t}
	d.printed, d.err = printed(func(out *bytes.Buffer) error {
		return doctor.RunServer(t.Context(), server, output.Writer{Out: out, Format: output.JSON})
	})
	if err := json.Unmarshal([]byte(d.printed), &d); err != nil {
		t.Fatalf("%v:\n%s", err, d.printed)
	}
	d.exits(true)
	d.finds("lag", doctor.Fail, "no broker answers")
	d.finds("waiting orders", doctor.Warn, "couriers create")
	for _, check := range []string{"postgresql", "schema", "service-order", "rechecks", "missing orders", "dead letters"} {
		d.finds(check, doctor.OK, "")
	}
}

func TestDoctorWithoutSchema(t *testing.T) {
	newStackOn(t, nowhere, pgtest.NewDatabase(t, nil))
	d := diagnose(t)
	d.exits(true)
	d.finds("postgresql", doctor.OK, "version")
	d.finds("clock", doctor.OK, "less than")
	d.finds("schema", doctor.Fail, "service-courier migrate up")
	d.finds("dead letters", doctor.Warn, "not known: depends on schema")
}

func TestDoctorWithoutTopic(t *testing.T) {
	newStack(t, startKfake(t, nil).Addr())
	d := diagnose(t)
	d.exits(true)
	d.finds("kafka", doctor.OK, "brokers: 1")
	d.finds("topic", doctor.Fail, "the topic does not exist: order.status.changed")
	d.finds("consumer group", doctor.Warn, "start serve")
	t.Setenv("KAFKA_ASSIGNMENT_TOPIC", "nosuch")
	d = diagnose(t)
	d.finds("event topic", doctor.Fail, "the topic does not exist: nosuch")
	d.finds("event topic", doctor.Fail, "correct KAFKA_ASSIGNMENT_TOPIC")
}

// Only warnings, since the service works.
func TestDoctorWarnings(t *testing.T) {
	s := newStack(t, startKfake(t, map[string]int{topic: partitions}).Addr())
	insertDeadLetter(s)
	s.produce(`{"order_id":"o-1","status":"created"}`)
	s.exec(`INSERT INTO orders (order_id, state, queue_position, missing_since, created_at) VALUES
		('lost', 'waiting', 1, now() - interval '2 hours', now() - interval '4 hours'), ('next', 'waiting', 2, NULL, now() - interval '3 hours')`)
	s.exec(`INSERT INTO orders (order_id, state, recheck_at, recheck_reason, recheck_failures, recheck_error, recheck_token)
		VALUES ('stubborn', 'seen', now() + interval '5 minutes', 'unavailable', 7, 'status 500', 1)`)
	d := diagnose(t)
	d.exits(false)
	d.finds("dead letters", doctor.Warn, "deadletters list")
	d.finds("missing orders", doctor.Warn, "oldest for 2h0m")
	d.finds("waiting orders", doctor.Warn, "waiting: 2 (1 missing in service-order, which get no courier), the oldest for 3h0m; on hold: 0; free couriers: 0 of 0")
	d.finds("rechecks", doctor.Warn, "stubborn (seen): unavailable, 7 attempts, status 500")
	d.finds("consumer group", doctor.Warn, "lag: 1")
	s.exec(`INSERT INTO orders (order_id, state, queue_position, missing_since) SELECT 'lost-' || i, 'waiting', 2 + i, now() FROM generate_series(1, 5) i`)
	diagnose(t).finds("missing orders", doctor.Warn, "service-order lost its state")
	s.exec(`UPDATE orders SET recheck_at = now() - interval '1 minute' WHERE order_id = 'stubborn'`)
	diagnose(t).finds("rechecks", doctor.Warn, "due now: 1, the oldest for 1m")
}

func TestDoctorFindsInvariantViolation(t *testing.T) {
	s := newStack(t, nowhere)
	s.exec(`INSERT INTO courier_orders (order_id, courier_id, deadline) VALUES ('stray', 9, now() + interval '1 hour')`)
	d := diagnose(t)
	d.exits(true)
	d.finds("invariants", doctor.Fail, "delivery of an unknown order: stray")
}

func TestDoctorFindsInvalidIndexes(t *testing.T) {
	s := newStack(t, nowhere)
	diagnose(t).finds("indexes", doctor.OK, "all valid")
	s.exec(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_due'::regclass`)
	diagnose(t).finds("indexes", doctor.Warn, "REINDEX INDEX CONCURRENTLY orders_due")
}

// The parser would quote the content of the file.
func TestDoctorWithBrokenDotEnv(t *testing.T) {
	newStackOn(t, nowhere, "postgres://"+nowhere+"/courier")
	if err := os.WriteFile(".env", []byte("API_TOKENS;sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := diagnose(t)
	d.exits(true)
	d.finds("settings", doctor.Fail, ".env")
	if strings.Contains(d.printed, "sesame") {
		t.Errorf("the output shows the content of .env:\n%s", d.printed)
	}
}
