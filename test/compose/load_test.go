// Package compose tests the compose files as far as that is possible without a container
// engine: it loads them as Docker does, alone and merged, and checks settings, ports,
// health checks, images and dependencies.
package compose

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// stacks are the files that are used together.
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

// load loads a stack with the given environment only.
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

// eachOwn runs a check on the services that run program.
func eachOwn(t *testing.T, program string, check func(t *testing.T, s service)) {
	t.Helper()
	found := 0
	eachService(t, func(t *testing.T, s service) {
		t.Helper()
		if s.program() == program {
			found++
			check(t, s)
		}
	})
	if found < len(stacks)-1 { // the course has its own service-order
		t.Errorf("%s is only in %d stacks", program, found)
	}
}

// environment returns the environment variables of the service.
func (s service) environment() map[string]string {
	set := make(map[string]string, len(s.Environment))
	for name, value := range s.Environment {
		if value != nil {
			set[name] = *value
		}
	}
	return set
}

// once reports whether the service ends when its work is done.
func (s service) once() bool { return s.Restart == types.RestartPolicyNo }

// program returns the program of this repository that the service runs, "" if none.
func (s service) program() string {
	name, _ := strings.CutSuffix(s.Image, ":dev")
	if name == s.Image {
		return ""
	}
	return name
}

// arguments returns the arguments after the entrypoint.
func (s service) arguments() string {
	if len(s.Command) == 0 && s.program() == "service-courier" {
		return "serve" // of the Dockerfile
	}
	return strings.Join(s.Command, " ")
}
