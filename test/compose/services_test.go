package compose

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// TestImagesArePinned to a version, so that the stack does not change by itself.
func TestImagesArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+(:v?\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$`)
	eachService(t, func(t *testing.T, s service) {
		switch {
		case s.program() != "":
			if !dockerfileHas(t, "FROM scratch AS "+s.program()) {
				t.Errorf("the Dockerfile has no target %s", s.program())
			}
		case !pinned.MatchString(s.Image):
			t.Errorf("image %s has no version", s.Image)
		case strings.Contains(s.Image, "bitnami"):
			t.Errorf("image %s is no longer published", s.Image)
		}
	})
}

// TestPortsAreLocal: they are published on loopback only, and a variable changes each.
func TestPortsAreLocal(t *testing.T) {
	var moved []string
	for i, name := range []string{
		"COURIER_PORT", "ORDER_PORT", "KAFKA_PORT", "KAFKA_UI_PORT", "POSTGRES_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT",
	} {
		moved = append(moved, name+"="+strconv.Itoa(30000+i))
	}
	for stack := range stacks {
		elsewhere := load(t, stack, moved...).Services
		for name, s := range load(t, stack).Services {
			for i, port := range s.Ports {
				other := elsewhere[name].Ports[i]
				if port.HostIP != "127.0.0.1" {
					t.Errorf("%s: %s: port %s is published on %q", stack, name, port.Published, port.HostIP)
				}
				if !strings.HasPrefix(other.Published, "3000") || other.Published == port.Published || other.Target != port.Target {
					t.Errorf("%s: %s: no variable changes port %s", stack, name, port.Published)
				}
			}
		}
	}
}

// TestKafkaUIPort is 8081, as in the assignment.
func TestKafkaUIPort(t *testing.T) {
	for stack := range stacks {
		if stack == "course" {
			continue // it has its own
		}
		ui := load(t, stack).Services["kafka-ui"]
		if len(ui.Ports) != 1 || ui.Ports[0].Published != "8081" {
			t.Errorf("%s: %+v", stack, ui.Ports)
		}
	}
}

// TestUpWaits: `up --wait` returns when every long-running service is healthy and every
// other one has succeeded. Compose waits for the latter only if another service depends
// on it.
func TestUpWaits(t *testing.T) {
	eachService(t, func(t *testing.T, s service) {
		switch {
		case s.once():
			waited := false
			for _, other := range s.GetDependents(s.project) {
				waited = waited || s.project.Services[other].DependsOn[s.Name].Condition == types.ServiceConditionCompletedSuccessfully
			}
			if !waited {
				t.Error("no service waits for its success")
			}
		case s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) < 2 || s.HealthCheck.Test[0] != "CMD":
			t.Error("a long-running service without a health check")
		case s.Restart != types.RestartPolicyUnlessStopped:
			t.Errorf("a long-running service with restart policy %q", s.Restart)
		}
		for name, on := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if (service{s.project.Services[name], s.project}).once() {
				want = types.ServiceConditionCompletedSuccessfully
			}
			if on.Condition != want {
				t.Errorf("waits for %s to be %q, not %q", name, on.Condition, want)
			}
		}
	})
}

// TestEveryVolumeIsUsed, and every mounted file exists.
func TestEveryVolumeIsUsed(t *testing.T) {
	for stack := range stacks {
		project := load(t, stack)
		used := make(map[string]bool)
		for name, s := range project.Services {
			for _, v := range s.Volumes {
				used[v.Source] = used[v.Source] || v.Type == types.VolumeTypeVolume
				if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
					t.Errorf("%s: %s: %v", stack, name, err)
				}
			}
		}
		for name := range project.Volumes {
			if !used[name] {
				t.Errorf("%s: volume %s is not used", stack, name)
			}
		}
	}
}

// TestHostsExist: every host:port in a setting is a service of the stack that listens
// there for the containers.
func TestHostsExist(t *testing.T) {
	eachService(t, func(t *testing.T, s service) {
		if _, beside := s.Networks["course"]; beside {
			return // its dependencies are in the course's stack
		}
		for name, value := range s.environment() {
			for _, host := range hosts(name, value) {
				host, port, err := net.SplitHostPort(host)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				other, found := s.project.Services[host]
				if !found || !listens(other, port) {
					t.Errorf("%s: %s: no service of the stack listens there", name, value)
				}
				if _, waits := s.DependsOn[host]; !waits && s.program() == "" && !s.once() {
					t.Errorf("%s: does not wait for %s", name, host)
				}
			}
		}
	})
}

// hosts returns the host:port pairs in a variable.
func hosts(name, value string) []string {
	switch name {
	case "KAFKA_BROKERS", "ORDER_SERVICE_GRPC_ADDR", "KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS", "KAFKA_ZOOKEEPER_CONNECT":
		return strings.Split(value, ",")
	case "DATABASE_URL", "ORDER_SERVICE_URL":
		return []string{regexp.MustCompile(`^\w+://(?:[^@/]*@)?([^/]+)`).FindStringSubmatch(value)[1]}
	}
	return nil
}

// listens reports whether the service listens on a port for the containers.
func listens(s types.ServiceConfig, port string) bool {
	get := func(name string) string {
		if value := s.Environment[name]; value != nil {
			return *value
		}
		return ""
	}
	switch {
	case get("HTTP_ADDR") != "":
		return get("HTTP_ADDR") == "0.0.0.0:"+port || get("GRPC_ADDR") == "0.0.0.0:"+port
	case get("KAFKA_LISTENERS") != "": // it must advertise, under its own name, what it listens on
		return strings.Contains(get("KAFKA_ADVERTISED_LISTENERS"), "INSIDE://"+s.Name+":"+port+",") &&
			strings.Contains(get("KAFKA_LISTENERS"), "INSIDE://0.0.0.0:"+port+",")
	case get("ZOOKEEPER_CLIENT_PORT") != "":
		return get("ZOOKEEPER_CLIENT_PORT") == port
	case strings.HasPrefix(s.Image, "postgres:"):
		return port == "5432"
	}
	return false
}

func dockerfileHas(t *testing.T, line string) bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains("\n"+string(content), "\n"+line+"\n")
}
