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

// TestImagesArePinned: a version, so that the stack is tomorrow what it is today.
func TestImagesArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+(:v?\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$`)
	eachService(t, func(t *testing.T, s service) {
		switch {
		case s.Build != nil:
			if !dockerfileHas(t, "FROM scratch AS "+s.Build.Target) {
				t.Errorf("the Dockerfile has no target %s", s.Build.Target)
			}
		case !pinned.MatchString(s.Image):
			t.Errorf("image %s has no version", s.Image)
		case strings.Contains(s.Image, "bitnami"):
			t.Errorf("image %s is no longer published", s.Image)
		}
	})
}

// TestPortsStayOnThisMachine, and each can be moved by a variable in .env.
func TestPortsStayOnThisMachine(t *testing.T) {
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
					t.Errorf("%s: %s: no variable moves port %s", stack, name, port.Published)
				}
			}
		}
	}
}

// The assignment names this one.
func TestKafkaUIIsWhereTheAssignmentHasIt(t *testing.T) {
	for stack := range stacks {
		if stack == "course" {
			continue // which brings its own
		}
		ui := load(t, stack).Services["kafka-ui"]
		if len(ui.Ports) != 1 || ui.Ports[0].Published != "8081" {
			t.Errorf("%s: %+v", stack, ui.Ports)
		}
	}
}

// TestWaitMeansSomething: `up --wait` returns when every service that stays is
// healthy and every one that ends has ended well; the latter it knows only of one
// that another waits for.
func TestWaitMeansSomething(t *testing.T) {
	eachService(t, func(t *testing.T, s service) {
		switch {
		case s.once():
			waited := false
			for _, other := range s.GetDependents(s.project) {
				waited = waited || s.project.Services[other].DependsOn[s.Name].Condition == types.ServiceConditionCompletedSuccessfully
			}
			if !waited {
				t.Error("nothing waits for its success")
			}
		case s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) < 2 || s.HealthCheck.Test[0] != "CMD":
			t.Error("it stays, and has no health check")
		case s.Restart != types.RestartPolicyUnlessStopped:
			t.Errorf("it stays, and its restart policy is %q", s.Restart)
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

// TestEveryVolumeIsUsed and every file that is mounted is there.
func TestEveryVolumeIsUsed(t *testing.T) {
	for stack := range stacks {
		project := load(t, stack)
		used := make(map[string]bool)
		for name, s := range project.Services {
			for _, v := range s.Volumes {
				used[v.Source] = true
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

// TestHostsAreThere: every host:port that our programs are told is a service of
// the stack, at a port on which that listens for the containers.
func TestHostsAreThere(t *testing.T) {
	eachService(t, func(t *testing.T, s service) {
		if _, beside := s.Networks["course"]; beside {
			return // its neighbours are in the course's stack
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
				if _, waits := s.DependsOn[host]; !waits && s.Build == nil {
					t.Errorf("%s: does not wait for %s", name, host)
				}
			}
		}
	})
}

// hosts are those in a variable that names a neighbour.
func hosts(name, value string) []string {
	switch name {
	case "KAFKA_BROKERS", "KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS", "KAFKA_ZOOKEEPER_CONNECT":
		return strings.Split(value, ",")
	case "DATABASE_URL", "ORDER_SERVICE_URL":
		return []string{regexp.MustCompile(`^\w+://(?:[^@/]*@)?([^/]+)`).FindStringSubmatch(value)[1]}
	}
	return nil
}

// listens says whether the containers reach the service at a port.
func listens(s types.ServiceConfig, port string) bool {
	get := func(name string) string {
		if value := s.Environment[name]; value != nil {
			return *value
		}
		return ""
	}
	switch {
	case get("HTTP_ADDR") != "":
		return get("HTTP_ADDR") == "0.0.0.0:"+port
	case get("KAFKA_LISTENERS") != "": // what it advertises must be what it listens on, by the name of the service
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
