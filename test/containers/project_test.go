package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	imageLine   = regexp.MustCompile(`(?m)^ +image: ([^\s:]+:[^\s]+)`)
	builderLine = regexp.MustCompile(`(?m)^FROM --platform=\$BUILDPLATFORM (\S+)`)
)

// standIns returns the images that the compose files and the Dockerfile name, with the
// target of standins/Dockerfile that replaces each.
func standIns() map[string]string {
	files, _ := filepath.Glob("../../compose*.yaml")
	found := make(map[string]string)
	for _, file := range append(files, "../../Dockerfile") {
		content, err := os.ReadFile(file)
		if err != nil {
			panic(err) // a file of this repository
		}
		for _, pattern := range []*regexp.Regexp{imageLine, builderLine} {
			for _, match := range pattern.FindAllStringSubmatch(string(content), -1) {
				name, _, _ := strings.Cut(path.Base(match[1]), ":")
				if !strings.HasPrefix(name, "service-") {
					found[match[1]] = name
				}
			}
		}
	}
	return found
}

// project is a copy of what compose reads of this repository.
type project struct {
	dir   string
	files []string // arguments -f of the last command
	env   []string
}

// newProject copies the sources and writes .env, one setting a line.
func newProject(t *testing.T, settings ...string) *project {
	t.Helper()
	p := &project{dir: t.TempDir()}
	for _, name := range []string{"cmd", "internal", "deploy"} {
		if err := os.CopyFS(filepath.Join(p.dir, name), os.DirFS(filepath.Join("..", "..", name))); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("../../compose*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../../Dockerfile", "../../.dockerignore", "../../go.mod", "../../go.sum") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, filepath.Base(file), string(content))
	}
	p.write(t, ".env", strings.Join(settings, "\n")+"\n")
	return p
}

func (p *project) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// documented runs a command that docs/deploy.md or the README gives, and returns its
// standard output. A failure of up prints the logs of all containers.
func (p *project) documented(t *testing.T, command string) string {
	t.Helper()
	if !isDocumented(t, command) {
		t.Errorf("no document has the command: %s", command)
	}
	return p.compose(t, strings.Fields(strings.TrimPrefix(command, "docker compose "))...)
}

func isDocumented(t *testing.T, command string) bool {
	t.Helper()
	for _, name := range []string{"README.md", "docs/deploy.md"} {
		content, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), command) {
			return true
		}
	}
	return false
}

// compose runs docker compose and returns its standard output.
func (p *project) compose(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.tryCompose(t.Context(), args...)
	if err != nil {
		logs, _ := p.tryCompose(context.WithoutCancel(t.Context()), append(slices.Clone(p.files), "logs", "--tail=30")...)
		t.Fatalf("%v\n%s", err, logs)
	}
	return out
}

// up runs a documented command that starts a stack, and removes the stack after the test.
func (p *project) up(t *testing.T, command string) {
	t.Helper()
	fields := strings.Fields(strings.TrimPrefix(command, "docker compose "))
	p.files = fields[:slices.Index(fields, "up")]
	t.Cleanup(func() {
		_, _ = p.tryCompose(context.WithoutCancel(t.Context()), append(slices.Clone(p.files), "down", "--volumes")...)
	})
	began := time.Now()
	p.documented(t, command)
	t.Logf("%s: %v", command, time.Since(began).Round(time.Second))
}

func (p *project) tryCompose(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	return docker.command(ctx, p.dir, p.env, "docker", append([]string{"compose"}, args...)...)
}

// container returns the id of a service's container.
func (p *project) container(t *testing.T, service string) string {
	t.Helper()
	return p.compose(t, append(slices.Clone(p.files), "ps", "--all", "--quiet", service)...)
}

// containers returns the ids of the long-running containers by name.
func (p *project) containers(t *testing.T) map[string]string {
	t.Helper()
	running := make(map[string]string)
	for line := range strings.SplitSeq(p.compose(t, append(slices.Clone(p.files), "ps", "--format", "{{.Service}} {{.ID}}")...), "\n") {
		name, id, _ := strings.Cut(line, " ")
		running[name] = id
	}
	return running
}

// healthy returns an error unless every long-running container is.
func (p *project) healthy(t *testing.T) error {
	t.Helper()
	for line := range strings.SplitSeq(p.compose(t, append(slices.Clone(p.files), "ps", "--format", "{{.Service}} {{.Health}} {{.State}}")...), "\n") {
		if !strings.HasSuffix(line, " healthy running") {
			return fmt.Errorf("not healthy: %s", line)
		}
	}
	return nil
}

// checkGone checks that a project left no container, volume or network.
func (p *project) checkGone(t *testing.T, name string) {
	t.Helper()
	for _, list := range []string{"ps -aq", "volume ls -q", "network ls -q"} {
		out, err := docker.docker(t.Context(), append(strings.Fields(list), "--filter", "label=com.docker.compose.project="+name)...)
		if err != nil || out != "" {
			t.Errorf("%s after down: %s, %v", list, out, err)
		}
	}
}

// kill kills the processes of services as a crash would, and returns when their containers
// have started again: for the daemon, a stop by its own command would count as wanted.
func (p *project) kill(t *testing.T, services ...string) {
	t.Helper()
	started := make(map[string]string) // by container
	var pids []int
	for _, service := range services {
		id := p.container(t, service)
		started[id] = inspect[string](t, id, "State.StartedAt")
		pids = append(pids, inspect[int](t, id, "State.Pid"))
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, strings.Join(services, ", ")+" started again", func() error {
		for id, before := range started {
			if inspect[string](t, id, "State.StartedAt") == before {
				return fmt.Errorf("container %s is not started again", id)
			}
		}
		return nil
	})
}

// inspect returns a field of a container.
func inspect[T any](t *testing.T, container, field string) (value T) {
	t.Helper()
	out, err := docker.docker(t.Context(), "inspect", "--format", "{{json ."+field+"}}", container)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &value); err != nil {
		t.Fatalf("%s of %s: %s: %v", field, container, out, err)
	}
	return value
}

// eventually polls until check succeeds.
func eventually(t *testing.T, within time.Duration, what string, check func() error) {
	t.Helper()
	began := time.Now()
	for {
		err := check()
		if err == nil {
			t.Logf("%s: after %v", what, time.Since(began).Round(100*time.Millisecond))
			return
		}
		if time.Since(began) > within {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(what, t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// api is an HTTP API on a published port.
type api struct{ base, token string }

var client = &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 10 * time.Second}

// get decodes the answer of a GET into value.
func (a api) get(t *testing.T, path string, value any) error {
	t.Helper()
	return a.do(t, http.MethodGet, path, "", value)
}

// do sends a request and decodes its answer into value, unless that is nil.
func (a api) do(t *testing.T, method, path, body string, value any) error {
	t.Helper()
	content, err := a.send(t, method, path, body)
	if err != nil || value == nil {
		return err
	}
	return json.Unmarshal(content, value)
}

// page returns the answer of a GET as text.
func (a api) page(t *testing.T, path string) (string, error) {
	t.Helper()
	content, err := a.send(t, http.MethodGet, path, "")
	return string(content), err
}

func (a api) send(t *testing.T, method, path, body string) ([]byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Bypass-Auth", "true") // of service-order
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d: %s", method, path, resp.StatusCode, content)
	}
	return content, err
}

// order is an order as the service answers it.
type order struct {
	ID       string `json:"order_id"`
	State    string `json:"state"`
	Delivery *struct {
		CourierID int64 `json:"courier_id"`
	} `json:"delivery"`
}

// orders lists the first orders in a state.
func (a api) orders(t *testing.T, state string) ([]order, error) {
	t.Helper()
	var page struct{ Items []order }
	err := a.get(t, "/api/v1/orders?limit=100&state="+state, &page)
	return page.Items, err
}

const newOrder = `{"restaurant_id":"r1","items":[{"name":"Pizza","quantity":1,"price":500}],"total_price":500,"address":{"street":"Main"}}`

// create creates an order at service-order and returns its id.
func (a api) create(t *testing.T) string {
	t.Helper()
	var created struct{ ID string }
	if err := a.do(t, http.MethodPost, "/public/api/v1/order", newOrder, &created); err != nil {
		t.Fatal(err)
	}
	return created.ID
}

// isAssigned reports whether an order has, or had, a courier.
func (a api) isAssigned(t *testing.T, id string) error {
	t.Helper()
	var o order
	if err := a.get(t, "/api/v1/orders/"+id, &o); err != nil {
		return err
	}
	if o.Delivery == nil {
		return fmt.Errorf("order %s is %s without a delivery", id, o.State)
	}
	return nil
}
