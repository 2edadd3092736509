package compose

import (
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// TestConfinement: no container has a capability that it does not need or can gain one,
// and the programs of this repository write only to volumes.
func TestConfinement(t *testing.T) {
	needed := map[string][]string{
		"postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}, // root, until it has changed its user
		"secrets":  {"CHOWN", "DAC_OVERRIDE"},                               // gives each file to its reader
	}
	eachService(t, func(t *testing.T, s service) {
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Privileged {
			t.Errorf("cap_drop %v, security_opt %v, privileged %t", s.CapDrop, s.SecurityOpt, s.Privileged)
		}
		if !slices.Equal(s.CapAdd, needed[strings.TrimPrefix(s.Name, "courier-")]) {
			t.Errorf("cap_add %v", s.CapAdd)
		}
		if s.program() != "" && (!s.ReadOnly || !s.once() && s.MemLimit == 0) {
			t.Errorf("read_only %t, mem_limit %d", s.ReadOnly, s.MemLimit)
		}
	})
}

// TestSecretsAreFiles: no container but the one that writes the files gets a secret by its
// environment or its command line, and only that one can change them.
func TestSecretsAreFiles(t *testing.T) {
	set := []string{"API_TOKENS=ann:operate:sesame-sesame-sesame-sesame", "POSTGRES_PASSWORD=sesame", "GRAFANA_PASSWORD=sesame", "METRICS_TOKEN=sesame"}
	for stack := range stacks {
		for name, s := range load(t, stack, set...).Services {
			for _, v := range s.Volumes {
				if v.Source == "secrets" && v.ReadOnly == (name == "secrets") {
					t.Errorf("%s: %s: the volume of secrets is read-only: %t", stack, name, v.ReadOnly)
				}
			}
			if name == "secrets" {
				if s.NetworkMode != "none" {
					t.Errorf("%s: secrets has a network", stack)
				}
				continue
			}
			for variable, value := range (service{s, nil}).environment() {
				if strings.Contains(value, "sesame") {
					t.Errorf("%s: %s: %s has a secret", stack, name, variable)
				}
			}
			if strings.Contains(strings.Join(append(s.Command, s.Entrypoint...), " "), "sesame") {
				t.Errorf("%s: %s: a secret on its command line", stack, name)
			}
		}
	}
}

// TestStacksShareNoData: two PostgreSQL on one volume would destroy it. The files that
// are used together are one project.
func TestStacksShareNoData(t *testing.T) {
	owner := make(map[string]string) // of a volume's full name
	for stack := range stacks {
		project := load(t, stack)
		kind, _, _ := strings.Cut(stack, ",") // with or without observability
		if kind == "kraft" {
			kind = "zookeeper" // the same stack with another Kafka
		}
		for name, s := range project.Services {
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeVolume || v.ReadOnly {
					continue
				}
				full := project.Volumes[v.Source].Name
				if other := owner[full]; other != "" && other != kind+"/"+name {
					t.Errorf("%s writes to volume %s, and so does %s", kind+"/"+name, full, other)
				}
				owner[full] = kind + "/" + name
			}
		}
	}
}

// TestOneBuildPerImage: two builds of one tag at the same time overwrite each other, and
// an unchanged `up --build` would replace containers.
func TestOneBuildPerImage(t *testing.T) {
	for stack := range stacks {
		builds := make(map[string]int)
		project := load(t, stack, "VERSION=v1.2.3", "COMMIT=abc", "DATE=2026-01-02T15:04:05Z")
		for name, s := range project.Services {
			if s.Build == nil {
				continue
			}
			builds[s.Image]++
			for argument, want := range map[string]string{"VERSION": "v1.2.3", "COMMIT": "abc", "DATE": "2026-01-02T15:04:05Z"} {
				if got := s.Build.Args[argument]; got == nil || *got != want || !dockerfileHas(t, "ARG "+argument+"="+map[bool]string{true: "dev", false: "unknown"}[argument == "VERSION"]) {
					t.Errorf("%s: %s: the build does not get %s", stack, name, argument)
				}
			}
		}
		for name, s := range project.Services {
			if program := (service{s, project}).program(); program != "" && builds[s.Image] != 1 {
				t.Errorf("%s: %s: image %s is built %d times", stack, name, s.Image, builds[s.Image])
			}
		}
	}
}

// TestDemo: the stack has couriers before the service starts, and service-order keeps its
// orders over a restart, so that no courier stays busy with an order that it no longer knows.
func TestDemo(t *testing.T) {
	for _, stack := range []string{"zookeeper", "kraft"} {
		project := load(t, stack)
		if on := project.Services["service-courier"].DependsOn["couriers"]; on.Condition != types.ServiceConditionCompletedSuccessfully {
			t.Errorf("%s: the service starts without couriers: %+v", stack, on)
		}
		var file string
		for _, arg := range project.Services["service-order"].Command {
			file = strings.TrimPrefix(arg, "--state-file=")
		}
		if !slices.ContainsFunc(project.Services["service-order"].Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Type == types.VolumeTypeVolume && !v.ReadOnly && strings.HasPrefix(file, v.Target+"/")
		}) {
			t.Errorf("%s: service-order keeps its orders in %q, which is on no volume", stack, file)
		}
	}
}

// TestHealthChecksAreCheap: none starts a Java process every few seconds.
func TestHealthChecksAreCheap(t *testing.T) {
	eachService(t, func(t *testing.T, s service) {
		if s.HealthCheck == nil || s.HealthCheck.Disable {
			return
		}
		for _, java := range []string{"kafka-", ".sh", "java"} {
			if strings.Contains(strings.Join(s.HealthCheck.Test, " "), java) {
				t.Errorf("health check %q", s.HealthCheck.Test)
			}
		}
	})
}

// TestCourseAddresses are those of the course's own compose file.
func TestCourseAddresses(t *testing.T) {
	project := load(t, "course")
	set := (service{project.Services["service-courier"], project}).environment()
	if set["KAFKA_BROKERS"] != "kafka:9092" || set["ORDER_SERVICE_URL"] != "http://service-order:8080" || set["ORDER_SERVICE_GRPC_ADDR"] != "service-order:50051" || project.Networks["course"].Name != "infrastructure_default" {
		t.Errorf("%v, network %+v", set, project.Networks["course"])
	}
	moved := (service{load(t, "course", "COURSE_KAFKA=k:1", "COURSE_ORDER_URL=http://o:2", "COURSE_ORDER_GRPC=").Services["service-courier"], project}).environment()
	if moved["KAFKA_BROKERS"] != "k:1" || moved["ORDER_SERVICE_URL"] != "http://o:2" || moved["ORDER_SERVICE_GRPC_ADDR"] != "" {
		t.Errorf("%v", moved)
	}
}
