package devpostgres

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeBinaries creates a bin directory whose postgres prints its version.
func fakeBinaries(t *testing.T, dir, answer string) string {
	t.Helper()
	script := []byte("#!/bin/sh\necho '" + answer + "'\n")
	err := errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "postgres"), script, 0o755),
		os.WriteFile(filepath.Join(dir, "initdb"), script, 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func nothingOnPath(string) (string, error) { return "", os.ErrNotExist }

func testFinder(t *testing.T, root string) finder {
	t.Helper()
	user, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	return finder{user: user, lookPath: nothingOnPath, places: []string{filepath.Join(root, "*", "bin")}}
}

func TestFindBinaries(t *testing.T) {
	t.Parallel()
	root := reachableDir(t)
	place := func(name string) string { return filepath.Join(root, name, "bin") }
	fakeBinaries(t, place("14"), "postgres (PostgreSQL) 14.9")
	fakeBinaries(t, place("15"), "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
	fakeBinaries(t, place("18"), "postgres (PostgreSQL) 18devel")
	fakeBinaries(t, place("9"), "postgres (PostgreSQL) 9.6.24")
	fakeBinaries(t, place("odd"), "I am not PostgreSQL")
	onPath := fakeBinaries(t, filepath.Join(root, "opt"), "postgres (PostgreSQL) 16.1")
	link := filepath.Join(root, "linked-initdb")
	if err := os.Symlink(filepath.Join(onPath, "initdb"), link); err != nil {
		t.Fatal(err)
	}
	linked := func(program string) (string, error) {
		if program == "initdb" {
			return link, nil
		}
		return "", os.ErrNotExist
	}

	for name, c := range map[string]struct {
		lookPath func(string) (string, error)
		major    int
		want     string
	}{
		"newest of the usual places":         {nothingOnPath, 0, place("18")},
		"PATH first, links resolved":         {linked, 0, onPath},
		"only the version of the cluster":    {linked, 15, place("15")},
		"no binaries of the cluster version": {linked, 17, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := testFinder(t, root)
			f.lookPath = c.lookPath
			got, err := f.find(t.Context(), c.major)
			if got.dir != c.want || (err == nil) != (c.want != "") {
				t.Fatalf("got %v, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestFindErrorNamesEachCandidate(t *testing.T) {
	t.Parallel()
	root := reachableDir(t)
	fakeBinaries(t, filepath.Join(root, "old", "bin"), "postgres (PostgreSQL) 14.9")
	fakeBinaries(t, filepath.Join(root, "odd", "bin"), "hello")
	empty := filepath.Join(root, "empty", "bin")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := testFinder(t, root).find(t.Context(), 0)
	if err == nil {
		t.Fatal("found one")
	}
	for _, want := range []string{"is PostgreSQL 14, older than 15", "unexpected output", empty} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
