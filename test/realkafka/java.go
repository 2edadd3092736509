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
	"regexp"
	"strconv"
	"time"

	"service-courier/internal/dev"
)

// minJava is the oldest Java that Kafka 4 supports.
const minJava = 17

// ErrMissing means that this machine lacks Java or Maven; the message says how to install it.
var ErrMissing = errors.New("cannot run a real Kafka broker")

// javaVersion matches `openjdk version "17.0.15" 2025-04-15`.
var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava returns the Java of JAVA_HOME if that is set, else the one in PATH.
func findJava(ctx context.Context) (string, error) {
	name := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		name = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: no Java %d: install it (Debian: openjdk-17-jre-headless) or set JAVA_HOME: %w", ErrMissing, minJava, err)
	}
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s -version: %w: %s", ErrMissing, path, err, out)
	}
	major, err := parseJavaVersion(string(out))
	if err != nil {
		return "", fmt.Errorf("%w: %s -version: %w", ErrMissing, path, err)
	}
	if major < minJava {
		return "", fmt.Errorf("%w: %s is Java %d, the broker needs %d or newer: install it or set JAVA_HOME", ErrMissing, path, major, minJava)
	}
	return path, nil
}

func parseJavaVersion(out string) (int, error) {
	match := javaVersion.FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("no version in the output %q", out)
	}
	return strconv.Atoi(match[1])
}

func findMaven() (string, error) {
	path, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: the jars are not in the cache, and there is no Maven to download them: install it (Debian: maven): %w", ErrMissing, err)
	}
	return path, nil
}

// downloadTimeout bounds the download of some 45 MB, also by another process.
const downloadTimeout = 5 * time.Minute

// pom lists the jars of the broker.
//
//go:embed pom.xml
var pom []byte

// jarDir returns the directory of the flavour's jars and downloads them if it is
// missing. Test processes run at the same time: a file lock lets one download while
// the others wait, and a rename makes the directory appear only when complete.
func (f Flavour) jarDir(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a directory for the Kafka jars (set HOME or XDG_CACHE_HOME): %w", err)
	}
	root := filepath.Join(cache, "service-courier")
	// The checksum gives an edited pom.xml a new directory.
	dir := filepath.Join(root, fmt.Sprintf("kafka-%s-%.4x", f.Version(), sha256.Sum256(pom)))
	if exists(dir) {
		return dir, nil
	}
	maven, err := findMaven()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("create a directory for the Kafka jars (set XDG_CACHE_HOME to a writable one): %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	lock, err := dev.Lock(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("lock %s.lock, which another process that downloads the Kafka jars may hold: %w", dir, err)
	}
	defer lock.Release()
	if exists(dir) { // downloaded by another process
		return dir, nil
	}
	return dir, f.downloadJars(ctx, maven, dir)
}

// downloadJars downloads the jars with Maven into a second directory and renames it. The
// caller holds the lock.
func (f Flavour) downloadJars(ctx context.Context, maven, dir string) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil { // left by a killed process
		return fmt.Errorf("remove the incomplete directory of Kafka jars: %w", err)
	}
	if err := os.MkdirAll(part, 0o755); err != nil {
		return fmt.Errorf("create a directory for the Kafka jars: %w", err)
	}
	pomPath := filepath.Join(part, "pom.xml")
	if err := os.WriteFile(pomPath, pom, 0o600); err != nil {
		return fmt.Errorf("write the pom.xml of the Kafka jars: %w", err)
	}
	cmd := exec.CommandContext(ctx, maven, "-B", "-q", "-f", pomPath, "-Dkafka.version="+f.Version(),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+part)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("download the Kafka jars with Maven (is Maven Central reachable?): %w\n%s", err, out)
	}
	if err := os.Rename(part, dir); err != nil {
		return fmt.Errorf("rename the directory of Kafka jars: %w", err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
