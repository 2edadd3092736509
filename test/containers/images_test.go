package containers

import (
	"testing"
	"time"
)

// TestImages starts our images by name as any user, with a read-only root file system and
// without capabilities. The health check follows the program, and SIGTERM ends it.
func TestImages(t *testing.T) {
	p := newProject(t)
	for name, args := range map[string][]string{
		"service-courier": {
			"-e", "API_TOKENS=ann:operate:sesame-sesame-sesame-sesame", "-e", "KAFKA_BROKERS=127.0.0.1:9", "-e", "DATABASE_URL=postgres://courier@127.0.0.1:9/courier",
		},
		"service-order": nil,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := docker.command(t.Context(), p.dir, nil, "docker", "build", "--quiet", "-t", name, "--target", name, "."); err != nil {
				t.Fatal(err)
			}
			// The intervals of the image would only take longer.
			id, err := docker.docker(t.Context(), append(append([]string{
				"run", "-d", "--read-only", "--user=12345:54321", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--memory=128m",
				"--health-interval=1s", "--health-timeout=1s", "--health-retries=2",
			}, args...), name)...)
			if err != nil {
				t.Fatal(err)
			}
			awaitHealth(t, id, "healthy")
			if _, err := docker.docker(t.Context(), "kill", "--signal=STOP", id); err != nil {
				t.Fatal(err)
			}
			awaitHealth(t, id, "unhealthy")
			if _, err := docker.docker(t.Context(), "kill", "--signal=CONT", id); err != nil {
				t.Fatal(err)
			}
			awaitHealth(t, id, "healthy")
			began := time.Now()
			if _, err := docker.docker(t.Context(), "stop", "--time=10", id); err != nil {
				t.Fatal(err)
			}
			if took, code := time.Since(began), inspect[int](t, id, "State.ExitCode"); took > 5*time.Second || code != 0 {
				t.Errorf("stopped after %v with code %d", took, code)
			}
		})
	}
}

// TestChangedLine logs how long a build takes after a changed line: the cache mounts keep
// what does not depend on it.
func TestChangedLine(t *testing.T) {
	p := newProject(t)
	build := func() time.Duration {
		began := time.Now()
		if _, err := docker.command(t.Context(), p.dir, nil, "docker", "build", "--quiet", "."); err != nil {
			t.Fatal(err)
		}
		return time.Since(began).Round(time.Second)
	}
	first := build()
	p.write(t, "cmd/service-courier/changed.go", "package main\n\nvar _ = 1\n")
	t.Logf("first build %v, after a changed line %v", first, build())
}

func awaitHealth(t *testing.T, container, want string) {
	t.Helper()
	eventually(t, time.Minute, want, func() error {
		if got := inspect[string](t, container, "State.Health.Status"); got != want {
			return errNone
		}
		return nil
	})
}
