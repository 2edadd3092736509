package containers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"service-courier/internal/dev"
)

// cacheDir keeps what is slow to make: packages, the plugin, and the daemon's images.
type cacheDir string

func (c cacheDir) path(name ...string) string {
	return filepath.Join(append([]string{string(c)}, name...)...)
}

// openCache locks the cache: two daemons cannot share their images.
func openCache(ctx context.Context) (c cacheDir, release func(), err error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", nil, fmt.Errorf("find a folder for the cache (set HOME or XDG_CACHE_HOME): %w", err)
	}
	c = cacheDir(filepath.Join(user, "service-courier", "containers"))
	if err := os.MkdirAll(string(c), 0o755); err != nil {
		return "", nil, fmt.Errorf("create the cache: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	lock, err := dev.Lock(ctx, c.path("lock"))
	if err != nil {
		return "", nil, fmt.Errorf("%s is in use by another run: %w", c, err)
	}
	return c, lock.Release, nil
}

// The packages of Debian: the engine's are added to those of this machine, the stand-ins'
// are complete.
var (
	enginePackages  = []string{"docker.io", "iptables"}
	standInPackages = []string{
		"bash", "coreutils", "grep", "sed", "busybox-static", "ca-certificates", "openjdk-17-jre-headless", "postgresql-15", "prometheus",
	}
	// unused parts of the packages, by far the largest.
	unused = []string{
		"./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/javascript/*", "./usr/share/perl*",
		"./usr/lib/*/perl*", "./usr/bin/promtool", "*libLLVM*", "*llvmjit*", "*/bitcode/*",
	}
)

// kafkaVersions are those of the images that the compose files name: cp-kafka 7.9.1 is
// Apache Kafka 3.9.1.
var kafkaVersions = []string{"3.9.1", "4.1.0"}

const composeVersion = "v2.40.3" // as in compose/go.mod

// prepare downloads and builds what is missing.
func (c cacheDir) prepare(ctx context.Context) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w: the engine and the stand-ins are unpacked from Debian's packages: %w", errNotRun, err)
	}
	steps := []func() error{
		func() error { return c.unpack(ctx, c.engineDir(), enginePackages) },
		func() error { return c.unpack(ctx, c.rootDir(), standInPackages, "-o", "Dir::State::status=/dev/null") },
		func() error { return c.buildPlugin(ctx) },
		func() error { return c.downloadModules(ctx) },
	}
	for _, version := range kafkaVersions {
		steps = append(steps, func() error { return c.downloadKafka(ctx, version) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// The names of folders contain the checksum of what determines their content.
func (c cacheDir) engineDir() string { return c.path("engine-" + sum(enginePackages...)) }

func (c cacheDir) rootDir() string {
	return c.path("root-" + sum(append(standInPackages, unused...)...))
}

func (c cacheDir) pluginPath() string             { return c.path("docker-compose-" + composeVersion) }
func (c cacheDir) kafkaDir(version string) string { return c.path("kafka-" + version) }
func (c cacheDir) modulesDir() string             { return c.path("modules-" + fileSum("../../go.sum")) }

func sum(texts ...string) string {
	return fmt.Sprintf("%.4x", sha256.Sum256([]byte(strings.Join(texts, "\n"))))
}

func fileSum(paths ...string) string {
	var all []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			panic(err) // a file of this repository
		}
		all = append(all, string(content))
	}
	return sum(all...)
}

// once runs create for a path that does not exist yet; a rename makes it appear complete.
func once(path string, create func(part string) error) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := path + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := create(part); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// unpack unpacks packages and those that they need and apt does not count as installed.
// Nothing is installed, and no service starts.
func (c cacheDir) unpack(ctx context.Context, dir string, packages []string, options ...string) error {
	return once(dir, func(part string) error {
		archives := dir + ".archives"
		if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(archives) }()
		// Without the symbolic links, tar would make folders of /bin and its like.
		for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
			if err := os.MkdirAll(filepath.Join(part, "usr", name), 0o755); err != nil {
				return err
			}
			if err := os.Symlink("usr/"+name, filepath.Join(part, name)); err != nil {
				return err
			}
		}
		args := append([]string{
			"-q", "-y", "--no-install-recommends", "--download-only",
			"-o", "Dir::Cache::archives=" + archives, "-o", "APT::Sandbox::User=root",
		}, options...)
		args = append(append(args, "install"), packages...)
		if run(ctx, "", "apt-get", args...) != nil { // a new machine has no lists of packages
			if err := errors.Join(run(ctx, "", "apt-get", "-q", "update"), run(ctx, "", "apt-get", args...)); err != nil {
				return fmt.Errorf("download packages: %w", err)
			}
		}
		debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
		if err != nil {
			return err
		}
		for _, deb := range debs {
			script := `dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2" ` + `--exclude=` + strings.Join(quoted(unused), " --exclude=")
			if err := run(ctx, "", "bash", "-o", "pipefail", "-c", script, "unpack", deb, part); err != nil {
				return err
			}
		}
		return nil
	})
}

func quoted(all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, "'"+s+"'")
	}
	return out
}

func (c cacheDir) buildPlugin(ctx context.Context) error {
	return once(c.pluginPath(), func(part string) error {
		return run(ctx, "compose", "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", part,
			"-ldflags=-s -w -X github.com/docker/compose/v2/internal.Version="+composeVersion, "github.com/docker/compose/v2/cmd")
	})
}

// downloadModules makes a module proxy of the modules that the programs need.
func (c cacheDir) downloadModules(ctx context.Context) error {
	return once(c.modulesDir(), func(part string) error {
		local, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOPROXY").Output()
		if err != nil {
			return err
		}
		modules, proxy, _ := strings.Cut(strings.TrimSpace(string(local)), "\n")
		cache := part + ".cache"
		err = run(ctx, "../..", "env", "GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "GOPROXY=file://"+filepath.Join(modules, "cache", "download")+","+proxy,
			"go", "list", "-deps", "-f", "{{.ImportPath}}", "./cmd/...")
		if err == nil {
			err = os.Rename(filepath.Join(cache, "cache", "download"), part)
		}
		return errors.Join(err, os.RemoveAll(cache))
	})
}

func (c cacheDir) downloadKafka(ctx context.Context, version string) error {
	return once(c.kafkaDir(version), func(part string) error {
		// A local repository of its own: Maven's is not made for two at a time, and tests on a
		// real Kafka may fetch theirs.
		repository := part + ".maven"
		defer func() { _ = os.RemoveAll(repository) }()
		return run(ctx, "standins", "mvn", "-B", "-q", "-Dmaven.repo.local="+repository, "-Dkafka.version="+version, "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory="+part)
	})
}

// run runs a command; the error has its output.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
