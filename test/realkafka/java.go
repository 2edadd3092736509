package realkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// minJava is the oldest Java that a Kafka 4 broker runs on.
const minJava = 17

// ErrMissing says that this machine lacks what a broker needs; its message says
// what, and how to get it.
var ErrMissing = errors.New("cannot run a real Kafka broker here")

// javaVersion takes the major version from `java -version`, whose first line is
// `openjdk version "17.0.15" 2025-04-15`.
var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava returns the path of a Java that can run the broker: the one of
// JAVA_HOME when that is set, else the one on PATH.
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
		return 0, fmt.Errorf("no version in its answer %q", out)
	}
	return strconv.Atoi(match[1])
}

// findMaven returns the path of Maven, which fetches the jars.
func findMaven() (string, error) {
	path, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: its jars are not in the cache yet and there is no Maven to fetch them: install it (Debian: maven): %w", ErrMissing, err)
	}
	return path, nil
}
