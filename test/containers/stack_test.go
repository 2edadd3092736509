package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	upCommand         = "docker compose up --build --wait"
	downCommand       = "docker compose down"
	deleteCommand     = "docker compose down --volumes"
	tokenCommand      = "docker compose run --rm secrets print token"
	kraftCommand      = "docker compose -f compose.yaml -f compose.kraft.yaml up --build --wait"
	watchedCommand    = "docker compose -f compose.yaml -f compose.observability.yaml up --build --wait"
	courseCommand     = "docker compose -f compose.course.yaml up --build --wait"
	courseToken       = "docker compose -f compose.course.yaml run --rm secrets print token"
	courseCourierBody = `{"name":"Anna","phone":"+79000000001","status":"available","transport_type":"car"}`
)

// TestCompose runs compose.yaml without any preparation, lets its parts fail, and keeps
// its data over a removal of all containers.
func TestCompose(t *testing.T) {
	p := newProject(t)
	p.up(t, upCommand)
	service := api{base: "http://127.0.0.1:8082", token: p.documented(t, tokenCommand)}
	orders := api{base: "http://127.0.0.1:8080"}
	t.Run("generated orders get couriers", func(t *testing.T) {
		eventually(t, time.Minute, "an order of the demo is assigned", func() error {
			assigned, err := service.orders(t, "assigned")
			if err == nil && len(assigned) == 0 {
				err = errNone
			}
			return err
		})
	})
	t.Run("the API needs the token", func(t *testing.T) {
		var couriers []struct{ Name string }
		if err := service.get(t, "/couriers", &couriers); err != nil || len(couriers) != 10 {
			t.Errorf("%d couriers, %v", len(couriers), err)
		}
		for _, token := range []string{"", "for-this-machine-only-operate"} {
			err := api{base: service.base, token: token}.get(t, "/couriers", nil)
			if err == nil || !strings.Contains(err.Error(), "401") {
				t.Errorf("token %q: %v", token, err)
			}
		}
	})
	t.Run("the UI has the port of the assignment", func(t *testing.T) {
		if _, err := (api{base: "http://127.0.0.1:8081"}).page(t, "/index.html"); err != nil {
			t.Error(err)
		}
	})
	t.Run("the board is there", func(t *testing.T) {
		if page, err := service.page(t, "/ui/"); err != nil || !strings.Contains(page, "<html") {
			t.Errorf("%s: %v", page, err)
		}
	})
	t.Run("every secret has one reader", p.checkSecrets)
	t.Run("an unchanged up replaces nothing", func(t *testing.T) {
		before := p.containers(t)
		p.compose(t, "up", "--build", "--wait")
		if after := p.containers(t); !maps.Equal(before, after) {
			t.Errorf("before %v\nafter %v", before, after)
		}
	})
	t.Run("killed parts come back", func(t *testing.T) {
		missing := service.missing(t)
		p.kill(t, "service-order")
		eventually(t, time.Minute, "all is healthy again", func() error { return p.healthy(t) })
		service.noneMissingBut(t, missing)
		all := []string{"kafka", "zookeeper", "postgres", "service-courier", "service-order"}
		for _, killed := range [][]string{all[:1], all[1:2], all[2:3], all[3:4], all} { // the last as a power cut
			p.kill(t, killed...)
			eventually(t, 3*time.Minute, "all is healthy again", func() error { return p.healthy(t) })
		}
		id := orders.create(t)
		eventually(t, time.Minute, "a new order gets a courier", func() error { return service.isAssigned(t, id) })
	})
	t.Run("128 MB are enough under load", func(t *testing.T) { underLoad(t, p.container(t, "service-courier"), service, orders) })
	t.Run("beside the course stack", besideCourse)
	missing := service.missing(t)
	var ended []order
	eventually(t, 2*time.Minute, "an order of the demo, which lives up to 90 s, is completed", func() (err error) {
		ended, err = service.orders(t, "completed")
		if err == nil && len(ended) == 0 {
			err = errNone
		}
		return err
	})
	t.Run("SIGTERM ends each program within 5 s", func(t *testing.T) {
		for _, name := range []string{"service-courier", "service-order"} {
			id, began := p.container(t, name), time.Now()
			if _, err := docker.docker(t.Context(), "stop", "--time=10", id); err != nil {
				t.Fatal(err)
			}
			if took, code := time.Since(began), inspect[int](t, id, "State.ExitCode"); took > 5*time.Second || code != 0 {
				t.Errorf("%s: %v, exit code %d", name, took, code)
			}
		}
	})
	t.Run("down and up keep data", func(t *testing.T) {
		defer service.noneMissingBut(t, missing)
		p.documented(t, downCommand)
		p.compose(t, "up", "--wait")
		if token := p.documented(t, tokenCommand); token != service.token {
			t.Error("the token has changed")
		}
		for _, o := range ended {
			var now order
			if err := service.get(t, "/api/v1/orders/"+o.ID, &now); err != nil || now.State != o.State && now.State != "cancelled" {
				t.Errorf("%+v was %+v: %v", now, o, err)
			}
		}
	})
	t.Run("down with volumes deletes all data", func(t *testing.T) {
		p.documented(t, deleteCommand)
		p.checkGone(t, "service-courier")
	})
}

// checkSecrets checks modes and owners of the files in the volume.
func (p *project) checkSecrets(t *testing.T) {
	got := p.compose(t, "run", "--rm", "--entrypoint=stat", "secrets", "-c", "%a %u %n",
		"/run/secrets/tokens", "/run/secrets/pgpass", "/run/secrets/metrics-token", "/run/secrets/grafana-password",
		"/run/secrets/postgres-password", "/run/secrets/local-token")
	want := "600 65532 /run/secrets/tokens\n600 65532 /run/secrets/pgpass\n600 65534 /run/secrets/metrics-token\n" +
		"600 472 /run/secrets/grafana-password\n600 0 /run/secrets/postgres-password\n600 0 /run/secrets/local-token"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// missing returns the active orders that service-order does not know: cancelled ones whose
// event is under way, or lost with a killed Kafka, which nothing can repair.
func (a api) missing(t *testing.T) (ids []string) {
	t.Helper()
	missing, err := a.orders(t, "missing")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range missing {
		ids = append(ids, o.ID)
	}
	return ids
}

// noneMissingBut checks that service-order still knows all orders but these.
func (a api) noneMissingBut(t *testing.T, before []string) {
	t.Helper()
	eventually(t, time.Minute, "no other order is missing", func() error {
		for _, id := range a.missing(t) {
			if !slices.Contains(before, id) {
				return fmt.Errorf("order %s is missing", id)
			}
		}
		return nil
	})
}

// underLoad limits the memory of a running container and sends it many orders at once.
func underLoad(t *testing.T, container string, service, orders api) {
	t.Helper()
	const memory, total, clients = 128 << 20, 4000, 16
	if _, err := docker.docker(t.Context(), "update", fmt.Sprintf("--memory=%d", memory), fmt.Sprintf("--memory-swap=%d", memory), container); err != nil {
		t.Fatal(err)
	}
	restarts := inspect[int](t, container, "RestartCount")
	var wg sync.WaitGroup
	var last string
	began := time.Now()
	for c := range clients {
		wg.Go(func() {
			for range total / clients {
				var created struct{ ID string }
				if err := orders.do(t, http.MethodPost, "/public/api/v1/order", newOrder, &created); err != nil {
					t.Error(err)
					return
				}
				if c == 0 {
					last = created.ID
				}
			}
		})
	}
	wg.Wait()
	eventually(t, 2*time.Minute, fmt.Sprintf("%d orders of %v are processed", total, time.Since(began).Round(time.Second)), func() error {
		return service.get(t, "/api/v1/orders/"+last, nil)
	})
	if inspect[bool](t, container, "State.OOMKilled") || inspect[int](t, container, "RestartCount") != restarts {
		t.Error("the service was killed")
	}
	used, err := docker.docker(t.Context(), "stats", "--no-stream", "--format", "{{.MemUsage}}", container)
	t.Logf("memory in use: %s, %v", used, err)
}

// besideCourse runs compose.course.yaml beside compose.yaml and a network with a Kafka
// that creates the topic with its first event, as the course's has.
func besideCourse(t *testing.T) {
	t.Helper()
	const network = "infrastructure_default"
	run := func(args ...string) string {
		out, err := docker.docker(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("network", "create", network)
	var started []string
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = docker.docker(ctx, append([]string{"rm", "-fv"}, started...)...)
		_, _ = docker.docker(ctx, "network", "rm", network)
	})
	started = append(started,
		run("run", "-d", "--network", network, "--network-alias", "kafka", "-e", "KAFKA_NODE_ID=1", "-e", "KAFKA_PROCESS_ROLES=broker,controller",
			"-e", "KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093", "-e", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://kafka:9092",
			"-e", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "-e", "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
			"-e", "KAFKA_CONTROLLER_QUORUM_VOTERS=1@127.0.0.1:9093", "-e", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
			"-e", "KAFKA_AUTO_CREATE_TOPICS_ENABLE=true", "-e", "KAFKA_HEAP_OPTS=-Xmx384m", "apache/kafka:4.1.0"),
		run("run", "-d", "--network", network, "--network-alias", "service-order", "-p", "127.0.0.1:8083:8080", "-e", "KAFKA_BROKERS=kafka:9092", "-e", "GRPC_ADDR=0.0.0.0:50051", "-e", "HTTP_ALLOWED_HOSTS=service-order", "service-order:dev"))
	p := newProject(t, "COURIER_PORT=18082", "POSTGRES_PORT=15432")
	p.up(t, courseCommand)
	service := api{base: "http://127.0.0.1:18082", token: p.documented(t, courseToken)}
	if !isDocumented(t, courseCourierBody) {
		t.Error("no document registers a courier")
	}
	if err := service.do(t, http.MethodPost, "/courier", courseCourierBody, nil); err != nil {
		t.Fatal(err)
	}
	id := api{base: "http://127.0.0.1:8083"}.create(t)
	eventually(t, 2*time.Minute, "the order whose event creates the topic gets the courier", func() error { return service.isAssigned(t, id) })
	if err := service.get(t, "/readyz", nil); err != nil {
		t.Error(err)
	}
}

// TestKRaft runs Kafka 4 with every port moved, a hostile password and tokens of .env.
func TestKRaft(t *testing.T) {
	const token = "sesame-sesame-sesame-sesame"
	p := newProject(t, "COURIER_PORT=28082", "ORDER_PORT=28080", "KAFKA_UI_PORT=28081", "KAFKA_PORT=29093", "POSTGRES_PORT=25432",
		`POSTGRES_PASSWORD=p@ss/w:rd#1\`, "API_TOKENS=ann:operate:"+token)
	p.env = []string{"VERSION=v1.2.3", "COMMIT=abc"} // as `make up` sets them
	p.up(t, kraftCommand)
	if version, err := docker.docker(t.Context(), "run", "--rm", "service-courier:dev", "--version"); err != nil || !strings.Contains(version, " v1.2.3, commit abc,") {
		t.Errorf("version %s, %v", version, err)
	}
	service := api{base: "http://127.0.0.1:28082", token: token}
	id := api{base: "http://127.0.0.1:28080"}.create(t)
	eventually(t, time.Minute, "an order gets a courier", func() error { return service.isAssigned(t, id) })
	logs := p.compose(t, append(slices.Clone(p.files), "logs")...)
	for _, secret := range []string{"p@ss", "w:rd", token} {
		if strings.Contains(logs, secret) {
			t.Errorf("the logs have %q", secret)
		}
	}
	t.Run("bad tokens stop up and are named", func(t *testing.T) {
		p.write(t, ".env", "API_TOKENS=ann:operate:short\n")
		_, err := p.tryCompose(t.Context(), append(slices.Clone(p.files), "up", "--wait")...)
		if err == nil || !strings.Contains(err.Error(), "secrets") {
			t.Errorf("up: %v", err)
		}
		if logs := p.compose(t, append(slices.Clone(p.files), "logs", "secrets")...); !strings.Contains(logs, "API_TOKENS: want") {
			t.Errorf("logs: %s", logs)
		}
	})
}

// TestObservability: Prometheus scrapes the service with its token and loads the rules.
func TestObservability(t *testing.T) {
	p := newProject(t)
	p.up(t, watchedCommand)
	prometheus := api{base: "http://127.0.0.1:9090"}
	eventually(t, time.Minute, "Prometheus has scraped the service", func() error {
		var targets struct {
			Data struct {
				ActiveTargets []struct{ Health, LastError string }
			}
		}
		if err := prometheus.get(t, "/api/v1/targets", &targets); err != nil {
			return err
		}
		for _, target := range targets.Data.ActiveTargets {
			if target.Health == "up" {
				return nil
			}
		}
		return fmt.Errorf("%+v", targets)
	})
	var rules struct {
		Data struct {
			Groups []struct{ Rules []struct{ Health string } }
		}
	}
	if err := prometheus.get(t, "/api/v1/rules", &rules); err != nil || len(rules.Data.Groups) == 0 {
		t.Errorf("%+v, %v", rules, err)
	}
	p.compose(t, append(slices.Clone(p.files), "down", "--volumes")...)
	p.checkGone(t, "service-courier")
}

var errNone = errors.New("none yet")
