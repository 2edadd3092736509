package realkafka

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestVersion(t *testing.T) {
	for flavour, want := range map[Flavour]string{KRaft: "4.", ZooKeeper: "3.9."} {
		if got := flavour.Version(); !strings.HasPrefix(got, want) {
			t.Errorf("the version of %s is %q, want %sx", flavour, got, want)
		}
	}
}

func TestJavaVersion(t *testing.T) {
	for out, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment": 17,
		"openjdk version \"25\" 2025-09-16":                                   25,
		"java version \"1.8.0_402\"":                                          1,
	} {
		if got, err := parseJavaVersion(out); got != want || err != nil {
			t.Errorf("parseJavaVersion(%q) = %d, %v, want %d", out, got, err, want)
		}
	}
	if got, err := parseJavaVersion("command not found"); err == nil {
		t.Errorf("parseJavaVersion of nonsense = %d, want an error", got)
	}
}

// TestStartErrorNamesMissingProgram: it is shown when a test is skipped.
func TestStartErrorNamesMissingProgram(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	bin := t.TempDir()
	t.Setenv("PATH", bin)

	for _, step := range []struct{ program, script, want string }{
		{want: "install it"},
		{"java", `echo 'openjdk version "11.0.2"' >&2`, "is Java 11, the broker needs 17"},
		{"java", `echo 'openjdk version "17.0.2"' >&2`, "there is no Maven"},
	} {
		if step.program != "" {
			writeProgram(t, filepath.Join(bin, step.program), step.script)
		}
		_, err := Start(t.Context(), Options{})
		if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), step.want) {
			t.Errorf("Start = %v, want ErrMissing saying %q", err, step.want)
		}
	}
}

// TestJarsAreDownloadedOnce by several callers at once, like the tests of several packages
// on a new machine. Fails without the lock.
func TestJarsAreDownloadedOnce(t *testing.T) {
	fetches := fakeMaven(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			dir, err := KRaft.jarDir(t.Context())
			if err != nil || !exists(filepath.Join(dir, "kafka.jar")) {
				t.Errorf("jarDir = %q, %v, want a directory with the jar", dir, err)
			}
		})
	}
	group.Wait()
	if got, err := os.ReadFile(fetches); string(got) != "fetch\n" {
		t.Errorf("Maven ran as %q, %v, want once", got, err)
	}
}

// TestIncompleteJarsAreNotUsed: a killed download leaves its directory.
func TestIncompleteJarsAreNotUsed(t *testing.T) {
	fakeMaven(t)
	dir, err := KRaft.jarDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir, dir+".part"), os.WriteFile(filepath.Join(dir+".part", "half.jar"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if dir, err = KRaft.jarDir(t.Context()); err != nil || exists(filepath.Join(dir, "half.jar")) {
		t.Errorf("jarDir = %q, %v, want a directory without half.jar", dir, err)
	}
}

func TestPropertiesOverrideDefaults(t *testing.T) {
	options := Options{
		Properties: map[string]string{"message.max.bytes": "7", "group.min.session.timeout.ms": "8"},
		Listeners:  map[string]string{"TLS": "SSL"},
	}
	got := options.properties(KRaft, "/data", ports{broker: 1, controller: 2, others: map[string]int{"TLS": 3}})
	for _, line := range []string{
		"message.max.bytes=7\n", "group.min.session.timeout.ms=8\n",
		"listeners=BROKER://127.0.0.1:1,CONTROLLER://127.0.0.1:2,TLS://127.0.0.1:3\n",
		"advertised.listeners=BROKER://127.0.0.1:1,TLS://127.0.0.1:3\n",
	} {
		if strings.Count(got, line) != 1 {
			t.Errorf("properties lack %q:\n%s", line, got)
		}
	}
}

// fakeMaven sets an empty cache and a Maven in PATH that creates one jar. It returns the
// file that lists the runs.
func fakeMaven(t *testing.T) (runs string) {
	t.Helper()
	cache, bin := t.TempDir(), t.TempDir()
	t.Setenv("HOME", cache)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	runs = filepath.Join(bin, "runs")
	writeProgram(t, filepath.Join(bin, "mvn"), `echo fetch >>"`+runs+`"
for arg; do case "$arg" in -DoutputDirectory=*) : >"${arg#*=}/kafka.jar" ;; esac; done`)
	return runs
}

func writeProgram(t *testing.T, path, script string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}
