package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"service-courier/internal/dev"
)

// engine is a Docker daemon and its clients.
type engine struct {
	cache  cacheDir
	dir    string // socket, configuration, state
	env    []string
	daemon *exec.Cmd
	ended  chan error
}

// startEngine starts the daemon in the namespaces of this process.
func startEngine(ctx context.Context, c cacheDir) (*engine, error) {
	if err := setUpNamespaces(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "containers-")
	if err != nil {
		return nil, err
	}
	e := &engine{cache: c, dir: dir, ended: make(chan error, 1)}
	root := c.engineDir()
	path := strings.Join([]string{filepath.Join(dir, "bin"), root + "/usr/bin", root + "/usr/sbin", os.Getenv("PATH")}, ":")
	if err := os.Setenv("PATH", path); err != nil { // exec.Command looks there
		return nil, err
	}
	e.env = append(os.Environ(),
		"LD_LIBRARY_PATH="+root+"/usr/lib/x86_64-linux-gnu:"+root+"/usr/lib/aarch64-linux-gnu",
		"XTABLES_LIBDIR="+firstOf(root+"/usr/lib/x86_64-linux-gnu/xtables", root+"/usr/lib/aarch64-linux-gnu/xtables"),
		"DOCKER_HOST=unix://"+filepath.Join(dir, "docker.sock"), "DOCKER_CONFIG="+dir, "DOCKER_BUILDKIT=1",
	)
	if err := errors.Join(e.link(root+"/usr/sbin/iptables-nft", "bin/iptables"), e.link(root+"/usr/sbin/ip6tables-nft", "bin/ip6tables"),
		e.link(c.pluginPath(), "cli-plugins/docker-compose")); err != nil {
		return nil, err
	}
	if err := e.startDaemon(ctx); err != nil {
		return nil, err
	}
	return e, e.removeAll(ctx)
}

// link creates a link in the engine's folder, if its target exists.
func (e *engine) link(target, name string) error {
	path := filepath.Join(e.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(target); err != nil {
		return nil //nolint:nilerr // the machine has it installed
	}
	return os.Symlink(target, path)
}

func firstOf(paths ...string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// setUpNamespaces mounts the processes of the namespace and raises its loopback.
func setUpNamespaces() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket) //nolint:errcheck // nothing was written
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	return nil
}

func (e *engine) startDaemon(ctx context.Context) error {
	log, err := os.Create(filepath.Join(e.dir, "dockerd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	// Not of ctx: stop ends it, after the tests.
	e.daemon = exec.Command("dockerd", "--data-root", e.cache.path("docker"), "--exec-root", filepath.Join(e.dir, "exec"), //nolint:noctx // see above
		"--pidfile", filepath.Join(e.dir, "dockerd.pid"), "-H", "unix://"+filepath.Join(e.dir, "docker.sock"))
	e.daemon.Env, e.daemon.Stdout, e.daemon.Stderr = e.env, log, log
	if err := e.daemon.Start(); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	go func() { e.ended <- e.daemon.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := e.docker(ctx, "version"); err == nil {
			return nil
		}
		select {
		case err := <-e.ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("dockerd ended: %w\n%s", err, text)
		default:
		}
		if err := dev.Sleep(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("dockerd does not answer: %w", err)
		}
	}
}

// removeAll removes containers, networks and volumes, also those of a killed run.
func (e *engine) removeAll(ctx context.Context) error {
	ids, err := e.docker(ctx, "ps", "-aq")
	if err == nil && ids != "" {
		_, err = e.docker(ctx, append([]string{"rm", "-fv"}, strings.Fields(ids)...)...)
	}
	_, networks := e.docker(ctx, "network", "prune", "-f")
	_, volumes := e.docker(ctx, "volume", "prune", "-f")
	return errors.Join(err, networks, volumes)
}

// stop removes all containers and stops the daemon.
func (e *engine) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_ = e.removeAll(ctx) // the next run removes the rest
	_ = e.daemon.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.ended: //nolint:errcheck // it was asked to end
	case <-ctx.Done():
	}
	_ = os.RemoveAll(e.dir)
}

// docker runs the docker command and returns its standard output.
func (e *engine) docker(ctx context.Context, args ...string) (string, error) {
	return e.command(ctx, "", nil, "docker", args...)
}

// command runs a client with its environment and returns its standard output; the error
// has what it wrote to both.
func (e *engine) command(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(e.env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &errs, &out)
	}
	return strings.TrimSpace(out.String()), nil
}

// buildStandIns gives the daemon an image of each name in the compose files.
func (e *engine) buildStandIns(ctx context.Context) error {
	steps := []struct{ image, dir, key string }{
		{"standin-base:1", e.cache.rootDir(), filepath.Base(e.cache.rootDir())},
		{"standin-modules:1", e.cache.modulesDir(), filepath.Base(e.cache.modulesDir())},
		{"standin-go:1", goRoot(ctx), goRoot(ctx) + goVersion(ctx)},
	}
	for _, version := range kafkaVersions {
		steps = append(steps, struct{ image, dir, key string }{"standin-kafka:" + version, e.cache.kafkaDir(version), version})
	}
	for _, s := range steps {
		if err := e.importDir(ctx, s.image, s.dir, s.key); err != nil {
			return err
		}
	}
	for image, target := range standIns() {
		if _, err := e.docker(ctx, "build", "--quiet", "--target", target, "--tag", image, "standins"); err != nil {
			return fmt.Errorf("stand-in of %s: %w", image, err)
		}
	}
	return nil
}

// importDir makes an image of a folder, unless there is one of this key.
func (e *engine) importDir(ctx context.Context, image, dir, key string) error {
	if got, err := e.docker(ctx, "image", "inspect", "--format", "{{.Comment}}", image); err == nil && got == key {
		return nil
	}
	script := `tar -C "$1" --exclude=./test --exclude=./pkg/obj -c . | docker import --message "$2" - "$3"`
	_, err := e.command(ctx, "", nil, "bash", "-o", "pipefail", "-c", script, "import", dir, key, image)
	return err
}

func goRoot(ctx context.Context) string    { return goOutput(ctx, "env", "GOROOT") }
func goVersion(ctx context.Context) string { return goOutput(ctx, "env", "GOVERSION") }

func goOutput(ctx context.Context, args ...string) string {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	if err != nil {
		panic(err) // go compiled this test
	}
	return strings.TrimSpace(string(out))
}
