package compose

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"service-courier/internal/ordersim"
	"service-courier/test/e2e/program"
	"service-courier/test/settings"
)

// TestServiceSettings: the service accepts what each stack sets, knows all of it,
// and is reached at the port that is published.
func TestServiceSettings(t *testing.T) {
	eachOurs(t, "service-courier", func(t *testing.T, s service) {
		t.Helper()
		if s.once() {
			if _, err := settings.LoadDatabaseURL(t, s.environment()); err != nil {
				t.Error(err)
			}
			return
		}
		cfg, err := settings.Load(t, s.environment())
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Insecure || cfg.APITokens == "" {
			t.Error("others reach it, and it asks nobody who he is")
		}
		reachedAt(t, s, cfg.HTTPAddr)
		database(t, s, cfg.DatabaseURL)
	})
}

// database: the user, password and database of the URL are those that PostgreSQL
// is made with, whatever the password is.
func database(t *testing.T, s service, text string) {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	made := service{s.project.Services[u.Hostname()], s.project}.environment()
	password, _ := u.User.Password()
	if u.User.Username() != made["POSTGRES_USER"] || password != made["POSTGRES_PASSWORD"] || u.Path != "/"+made["POSTGRES_DB"] {
		t.Errorf("DATABASE_URL %s, but PostgreSQL is made with %v", text, made)
	}
}

func TestServiceOrderSettings(t *testing.T) {
	eachOurs(t, "service-order", func(t *testing.T, s service) {
		t.Helper()
		set := s.environment()
		cfg := ordersim.Config{Addr: set["HTTP_ADDR"], Brokers: strings.Split(set["KAFKA_BROKERS"], ","), Topic: set["KAFKA_ORDER_TOPIC"]}
		if err := cfg.Validate(); err != nil || len(set) != 3 {
			t.Errorf("%v: %v", set, err)
		}
		reachedAt(t, s, cfg.Addr)
	})
}

// reachedAt: what is published leads to where the program listens, on every
// interface of its container.
func reachedAt(t *testing.T, s service, addr string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil || len(s.Ports) != 1 || host != "0.0.0.0" || strconv.FormatUint(uint64(s.Ports[0].Target), 10) != port {
		t.Errorf("HTTP_ADDR is %s, published is %+v", addr, s.Ports)
	}
}

// TestTopic: what is made is what both programs are told, with six partitions.
func TestTopic(t *testing.T) {
	for stack := range stacks {
		project := load(t, stack)
		topic, made := project.Services["topic"]
		for _, name := range []string{"service-courier", "service-order"} {
			s, there := project.Services[name]
			if !made || !there {
				continue // the course brings both
			}
			for _, want := range []string{"--topic=" + (service{s, project}).environment()["KAFKA_ORDER_TOPIC"], "--partitions=6", "--if-not-exists"} {
				if !slices.Contains(topic.Command, want) {
					t.Errorf("%s: the topic is not made with %s", stack, want)
				}
			}
		}
		if kafka, there := project.Services["kafka"]; there && *kafka.Environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] != "false" {
			t.Errorf("%s: Kafka would make the topic itself, with one partition", stack)
		}
	}
}

// TestKafkaIsReachedFromTheHost: the second listener advertises the port that is
// published, also when it is moved.
func TestKafkaIsReachedFromTheHost(t *testing.T) {
	for stack := range stacks {
		kafka, there := load(t, stack, "KAFKA_PORT=30000").Services["kafka"]
		if !there {
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

// TestCommands runs what the containers run, as far as that goes without one: the
// programs know each command, and each health check comes to its service and says
// what that answers.
func TestCommands(t *testing.T) {
	programs := t.TempDir()
	if err := program.Build(t.Context(), programs, "service-courier", "service-order"); err != nil {
		t.Fatal(err)
	}
	for stack := range stacks {
		project := load(t, stack)
		for name, config := range project.Services {
			if s := (service{config, project}); s.Build != nil {
				t.Run(stack+"/"+name, func(t *testing.T) {
					path := filepath.Join(programs, s.Build.Target)
					commandLine(t, s, path)
					if !s.once() {
						healthCheck(t, s, path)
					}
				})
			}
		}
	}
}

// commandLine: the program knows the command and its flags. Help alone proves
// little: that of "migrate" is shown for "migrate upp" too.
func commandLine(t *testing.T, s service, path string) {
	t.Helper()
	args := strings.Fields(s.arguments())
	usage := s.Build.Target
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

// healthCheck runs a service's health check against a service that is well, and
// against one that is not.
func healthCheck(t *testing.T, s service, path string) {
	t.Helper()
	test := s.HealthCheck.Test
	if entrypoint := "/" + s.Build.Target; test[1] != entrypoint || !dockerfileHas(t, `ENTRYPOINT ["`+entrypoint+`"]`) {
		t.Fatalf("health check %q, which is not the image's program", test)
	}
	var answer atomic.Int32
	asked := make(chan string, 2) // one a health check
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.WriteHeader(int(answer.Load()))
		_, _ = io.WriteString(w, "{}")
	}))
	defer stub.Close()
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		answer.Store(int32(status))
		cmd := exec.CommandContext(t.Context(), path, test[2:]...)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"HTTP_ADDR=" + stub.Listener.Addr().String()}
		out, err := cmd.CombinedOutput()
		if well := status == http.StatusOK; well != (err == nil) {
			t.Errorf("%q, answered with %d: %v: %s", test, status, err, out)
		}
	}
	want := map[string]string{"service-courier": "/readyz", "service-order": "/public/api/v1/orders"}[s.Build.Target]
	stub.Close() // waits for whoever still asks
	close(asked)
	n := 0
	for path := range asked {
		n++
		if path != want {
			t.Errorf("%q asks %s, not %s", test, path, want)
		}
	}
	if n != 2 {
		t.Errorf("%q asked %d times, not twice", test, n)
	}
}
