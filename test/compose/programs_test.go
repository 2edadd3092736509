package compose

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"service-courier/internal/dev/citest"
	"service-courier/internal/dev/ordersim"
	"service-courier/test/e2e/program"
	"service-courier/test/settings"
)

// TestServiceSettings: the service accepts and knows every setting of each stack, with the
// tokens and passwords that secrets.sh writes, and listens on the published port.
func TestServiceSettings(t *testing.T) {
	dir := secrets(t, "POSTGRES_PASSWORD="+hostilePassword)
	eachOwn(t, "service-courier", func(t *testing.T, s service) {
		t.Helper()
		set := s.environment()
		for name, value := range set {
			set[name] = strings.ReplaceAll(value, "/run/secrets", dir)
		}
		if s.once() {
			databaseURL, err := settings.LoadDatabaseURL(t, set)
			if err != nil {
				t.Fatal(err)
			}
			databaseMatches(t, s, databaseURL)
			return
		}
		cfg, err := settings.Load(t, set)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Insecure || cfg.APITokensFile == "" {
			t.Error("the API is open without tokens")
		}
		portMatches(t, s, cfg.HTTPAddr)
		if !slices.Contains(cfg.HTTPAllowedHosts, s.Name) {
			t.Errorf("other containers cannot call it as %s: HTTP_ALLOWED_HOSTS is %v", s.Name, cfg.HTTPAllowedHosts)
		}
		databaseMatches(t, s, cfg.DatabaseURL)
	})
}

// hostilePassword has what a URL or a password file reserves.
const hostilePassword = `p@ss/w:rd#1\:%20?&"$'`

// databaseMatches checks that PostgreSQL is created with the user, password and database
// of the URL.
func databaseMatches(t *testing.T, s service, text string) {
	t.Helper()
	client, err := pgconn.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	created := service{s.project.Services[client.Host], s.project}.environment()
	if client.User != created["POSTGRES_USER"] || client.Database != created["POSTGRES_DB"] || client.Password != hostilePassword {
		t.Errorf("DATABASE_URL %s with the password %s, but PostgreSQL is created with %v", text, client.Password, created)
	}
}

func TestServiceOrderSettings(t *testing.T) {
	eachOwn(t, "service-order", func(t *testing.T, s service) {
		t.Helper()
		set := s.environment()
		cfg := ordersim.Config{Addr: set["HTTP_ADDR"], GRPCAddr: set["GRPC_ADDR"], Brokers: strings.Split(set["KAFKA_BROKERS"], ","), Topic: set["KAFKA_ORDER_TOPIC"]}
		if err := cfg.Validate(); err != nil || len(set) != 5 || set["HTTP_ALLOWED_HOSTS"] != s.Name {
			t.Errorf("%v: %v", set, err)
		}
		portMatches(t, s, cfg.Addr)
	})
}

// portMatches checks that the published port is the one on which the program listens, on
// every interface of its container.
func portMatches(t *testing.T, s service, addr string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil || len(s.Ports) != 1 || host != "0.0.0.0" || strconv.FormatUint(uint64(s.Ports[0].Target), 10) != port {
		t.Errorf("HTTP_ADDR is %s, published %+v", addr, s.Ports)
	}
}

// TestTopic: the created topic is the one that both programs use, with six partitions.
func TestTopic(t *testing.T) {
	for stack := range stacks {
		project := load(t, stack)
		topic, hasTopic := project.Services["topic"]
		for _, name := range []string{"service-courier", "service-order"} {
			s, found := project.Services[name]
			if !hasTopic || !found {
				continue // the course has both
			}
			for _, want := range []string{"--topic=" + (service{s, project}).environment()["KAFKA_ORDER_TOPIC"], "--partitions=6", "--if-not-exists"} {
				if !slices.Contains(topic.Command, want) {
					t.Errorf("%s: the topic is not created with %s", stack, want)
				}
			}
		}
		if kafka, found := project.Services["kafka"]; found && *kafka.Environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] != "false" {
			t.Errorf("%s: Kafka would create the topic, with one partition", stack)
		}
	}
}

// TestKafkaIsReachableFromTheHost: the second listener advertises the published port, also
// when KAFKA_PORT changes it.
func TestKafkaIsReachableFromTheHost(t *testing.T) {
	for stack := range stacks {
		kafka, found := load(t, stack, "KAFKA_PORT=30000").Services["kafka"]
		if !found {
			continue
		}
		advertised, listeners := *kafka.Environment["KAFKA_ADVERTISED_LISTENERS"], *kafka.Environment["KAFKA_LISTENERS"]
		port := kafka.Ports[0]
		if port.Published != "30000" || !strings.Contains(advertised, "HOST://localhost:30000") ||
			!strings.Contains(listeners, "HOST://0.0.0.0:"+strconv.FormatUint(uint64(port.Target), 10)) {
			t.Errorf("%s: listeners %s, advertised %s, published %+v", stack, listeners, advertised, port)
		}
	}
}

// TestCommands: the programs know the command of each container, and each health check
// calls its service and reports its answer.
func TestCommands(t *testing.T) {
	citest.Only(t, "it builds both programs")
	programs := t.TempDir()
	if err := program.Build(t.Context(), programs, "service-courier", "service-order"); err != nil {
		t.Fatal(err)
	}
	for stack := range stacks {
		project := load(t, stack)
		for name, config := range project.Services {
			if s := (service{config, project}); s.program() != "" {
				t.Run(stack+"/"+name, func(t *testing.T) {
					path := filepath.Join(programs, s.program())
					checkCommand(t, s, path)
					if !s.once() {
						checkHealthCheck(t, s, path)
					}
				})
			}
		}
	}
}

// checkCommand checks that the program knows the command and its flags. Exit status 0 is
// not enough: "migrate upp --help" prints the help of "migrate".
func checkCommand(t *testing.T, s service, path string) {
	t.Helper()
	args := strings.Fields(s.arguments())
	usage := s.program()
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			usage += " " + arg
		}
	}
	out, err := exec.CommandContext(t.Context(), path, append(args, "--help")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Usage:\n  "+usage+" [flags]") {
		t.Errorf("%q: %v: %s", args, err, out)
	}
}

// checkHealthCheck runs the health check against a healthy and an unhealthy service.
func checkHealthCheck(t *testing.T, s service, path string) {
	t.Helper()
	test := s.HealthCheck.Test
	if entrypoint := "/" + s.program(); test[1] != entrypoint || !dockerfileHas(t, `ENTRYPOINT ["`+entrypoint+`"]`) {
		t.Fatalf("health check %q does not run the program of the image", test)
	}
	var answer atomic.Int32
	paths := make(chan string, 2) // one per health check
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path
		w.WriteHeader(int(answer.Load()))
		_, _ = io.WriteString(w, "{}")
	}))
	defer stub.Close()
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		answer.Store(int32(status))
		cmd := exec.CommandContext(t.Context(), path, test[2:]...)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"HTTP_ADDR=" + stub.Listener.Addr().String()}
		out, err := cmd.CombinedOutput()
		if healthy := status == http.StatusOK; healthy != (err == nil) {
			t.Errorf("%q, status %d: %v: %s", test, status, err, out)
		}
	}
	want := map[string]string{"service-courier": "/readyz", "service-order": "/public/api/v1/orders"}[s.program()]
	if _, beside := s.Networks["course"]; beside {
		want = "/livez" // the course's Kafka may create the topic with the first event
	}
	stub.Close() // waits for open requests
	close(paths)
	n := 0
	for path := range paths {
		n++
		if path != want {
			t.Errorf("%q calls %s, not %s", test, path, want)
		}
	}
	if n != 2 {
		t.Errorf("%q made %d requests, want 2", test, n)
	}
}
