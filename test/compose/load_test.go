package compose

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// stacks are the files that are used together, as the files themselves say.
var stacks = map[string][]string{
	"zookeeper":                {"compose.yaml"},
	"kraft":                    {"compose.yaml", "compose.kraft.yaml"},
	"zookeeper, observability": {"compose.yaml", "compose.observability.yaml"},
	"kraft, observability":     {"compose.yaml", "compose.kraft.yaml", "compose.observability.yaml"},
	"course":                   {"compose.course.yaml"},
}

// service is one service of a stack.
type service struct {
	types.ServiceConfig
	project *types.Project
}

// load reads a stack with nothing in the environment but what is given.
func load(t *testing.T, stack string, environment ...string) *types.Project {
	t.Helper()
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range stacks[stack] {
		files = append(files, filepath.Join(top, name))
	}
	options, err := cli.NewProjectOptions(files, cli.WithWorkingDirectory(top), cli.WithEnv(environment))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// eachService runs a check on every service of every stack.
func eachService(t *testing.T, check func(t *testing.T, s service)) {
	t.Helper()
	for stack := range stacks {
		project := load(t, stack)
		for name, config := range project.Services {
			t.Run(stack+"/"+name, func(t *testing.T) { check(t, service{config, project}) })
		}
	}
}

// eachOurs runs a check on the services that run program.
func eachOurs(t *testing.T, program string, check func(t *testing.T, s service)) {
	t.Helper()
	found := 0
	eachService(t, func(t *testing.T, s service) {
		t.Helper()
		if s.Build != nil && s.Build.Target == program {
			found++
			check(t, s)
		}
	})
	if found < len(stacks)-1 { // the course brings a service-order of its own
		t.Errorf("%s is in %d stacks only", program, found)
	}
}

// environment is what the service sets.
func (s service) environment() map[string]string {
	set := make(map[string]string, len(s.Environment))
	for name, value := range s.Environment {
		if value != nil {
			set[name] = *value
		}
	}
	return set
}

// once says that the service does its work and ends.
func (s service) once() bool { return s.Restart == types.RestartPolicyNo }

// arguments are those of the program itself: what stands behind its entrypoint.
func (s service) arguments() string {
	if len(s.Command) == 0 && s.Build.Target == "service-courier" {
		return "serve" // of the Dockerfile
	}
	return strings.Join(s.Command, " ")
}
