package realkafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// fetchTimeout bounds the fetching of some 45 MB, and the wait for another
// process that fetches them.
const fetchTimeout = 5 * time.Minute

// pom names the broker's jars.
//
//go:embed pom.xml
var pom []byte

// jarDir returns the folder that holds the flavour's jars and fetches them when
// it is not there yet. Packages are tested in processes of their own at the same
// time, so a file lock lets one fetch while the others wait, and the folder
// appears by a rename: it is complete or it is not there.
func (f Flavour) jarDir(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the Kafka jars (set HOME or XDG_CACHE_HOME): %w", err)
	}
	root := filepath.Join(cache, "service-courier")
	// The checksum makes an edited pom.xml a new folder.
	dir := filepath.Join(root, fmt.Sprintf("kafka-%s-%.4x", f.Version(), sha256.Sum256(pom)))
	if exists(dir) {
		return dir, nil
	}
	maven, err := findMaven()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the Kafka jars (set XDG_CACHE_HOME to a writable one): %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	unlock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) { // fetched by another process meanwhile
		return dir, nil
	}
	return dir, f.fetchJars(ctx, maven, dir)
}

// fetchJars has Maven copy the jars into a folder beside dir, then renames it.
// The caller holds the lock.
func (f Flavour) fetchJars(ctx context.Context, maven, dir string) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil { // left by a killed run
		return fmt.Errorf("remove the unfinished folder of Kafka jars: %w", err)
	}
	if err := os.MkdirAll(part, 0o755); err != nil {
		return fmt.Errorf("make a folder for the Kafka jars: %w", err)
	}
	pomPath := filepath.Join(part, "pom.xml")
	if err := os.WriteFile(pomPath, pom, 0o600); err != nil {
		return fmt.Errorf("write the pom.xml of the Kafka jars: %w", err)
	}
	cmd := exec.CommandContext(ctx, maven, "-B", "-q", "-f", pomPath, "-Dkafka.version="+f.Version(),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+part)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch the Kafka jars with Maven (is Maven Central within reach?): %w\n%s", err, out)
	}
	if err := os.Rename(part, dir); err != nil {
		return fmt.Errorf("put the fetched Kafka jars in place: %w", err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
