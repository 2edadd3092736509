package compose

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"service-courier/internal/access"
)

// runSecrets runs secrets.sh as the service secrets does, on a directory of the test.
func runSecrets(t *testing.T, dir string, environment []string, args ...string) (string, error) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("..", "..", "deploy", "compose", "secrets.sh"))
	if err != nil {
		t.Fatal(err)
	}
	// Only root may change owners; test/containers checks them.
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "chown"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{script}, args...)...)
	cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "SECRETS_DIR=" + dir}, environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// secrets returns a directory with the secrets of a new stack.
func secrets(t *testing.T, environment ...string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := runSecrets(t, dir, environment); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(content), "\n")
}

// TestSecretsAreRandom: no two stacks share one, no file of a secret is readable by
// others, and a later run keeps them all.
func TestSecretsAreRandom(t *testing.T) {
	dir, other := secrets(t), secrets(t)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 6 {
		t.Fatalf("files %v, %v", files, err)
	}
	before := make(map[string]string)
	for _, file := range files {
		before[file] = read(t, file)
		if before[file] == read(t, filepath.Join(other, filepath.Base(file))) {
			t.Errorf("two stacks have the same %s", filepath.Base(file))
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if out, err := runSecrets(t, dir, nil); err != nil || out != "" {
		t.Fatalf("%v: %s", err, out)
	}
	for file, content := range before {
		if read(t, file) != content {
			t.Errorf("the second run changed %s", filepath.Base(file))
		}
	}
}

// TestSecretsPrint: what print shows is accepted, and printing nothing else is an error.
func TestSecretsPrint(t *testing.T) {
	for _, environment := range [][]string{nil, {"API_TOKENS= ann:operate:sesame-sesame-sesame-sesame, bob:read:SESAME-sesame-sesame-sesame ,"}} {
		dir := secrets(t, environment...)
		tokens, err := access.OpenFile(filepath.Join(dir, "tokens"), nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := runSecrets(t, dir, nil, "print", "token")
		if caller, known := tokens.Caller(t.Context(), strings.TrimSuffix(token, "\n")); err != nil || !known || caller.Role != access.Operate {
			t.Errorf("%v: %q is known: %t, as %+v, %v", environment, token, known, caller, err)
		}
		for _, name := range []string{"", "pgpass", "../tokens"} {
			if out, err := runSecrets(t, dir, nil, "print", name); err == nil {
				t.Errorf("print %q: %s", name, out)
			}
		}
	}
}

// TestSecretsOfEnv: API_TOKENS of .env replace the random token from the next run on, and
// none of them stays valid without it. A password that a container read at its first
// start stays as it is, with a warning that shows none.
func TestSecretsOfEnv(t *testing.T) {
	const own = "sesame-sesame-sesame-sesame"
	dir := secrets(t)
	random, err := runSecrets(t, dir, nil, "print", "token")
	if err != nil {
		t.Fatal(err)
	}
	password := read(t, filepath.Join(dir, "postgres-password"))
	out, err := runSecrets(t, dir, []string{"API_TOKENS=ann:operate:" + own, "POSTGRES_PASSWORD=sesame"})
	if err != nil || !strings.Contains(out, "POSTGRES_PASSWORD has changed") || strings.Contains(out, "sesame") || strings.Contains(out, password) {
		t.Errorf("%v: %s", err, out)
	}
	if got := read(t, filepath.Join(dir, "postgres-password")); got != password {
		t.Error("the password has changed, but not in PostgreSQL")
	}
	if token, err := runSecrets(t, dir, nil, "print", "token"); err != nil || token != own+"\n" {
		t.Errorf("%v: the token is %q", err, token)
	}
	if out, err := runSecrets(t, dir, nil); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if token, err := runSecrets(t, dir, nil, "print", "token"); err != nil || token != random || strings.Contains(read(t, filepath.Join(dir, "tokens")), own) {
		t.Errorf("%v: without API_TOKENS the token is %q, want %q", err, token, random)
	}
}

// TestBadTokensStopTheStart: secrets.sh refuses what the service would refuse, and accepts
// what it accepts, so that up fails at once and names the setting.
func TestBadTokensStopTheStart(t *testing.T) {
	const good = "ann:operate:sesame-sesame-sesame-sesame"
	for _, tokens := range []string{
		good, "a.b-c_d:read:" + strings.Repeat("Az09._~+/-", 3) + "==", good + ",", ",,",
		"ann:operate:short", "ann:admin:sesame-sesame-sesame-sesame", "ann:sesame-sesame-sesame-sesame", "ann::sesame-sesame-sesame-sesame",
		good + ",bob:read:short", ":read:sesame-sesame-sesame-sesame", "ann:read:sesame-sesame-sesame-sesame$", "ann:read:sesame:sesame-sesame-sesame-sesame",
		strings.Repeat("a", 33) + ":read:sesame-sesame-sesame-sesame", "ann:read:=sesame-sesame-sesame-sesame", good + "," + good,
	} {
		dir := t.TempDir()
		out, err := runSecrets(t, dir, []string{"API_TOKENS=" + tokens})
		_, refusal := access.Parse(tokens)
		if (err != nil) != (refusal != nil) {
			t.Errorf("%s: %v: %s; the service: %v", tokens, err, out, refusal)
		}
		if err != nil && (!strings.Contains(out, "API_TOKENS") || strings.Contains(out, "sesame")) {
			t.Errorf("%s: %s", tokens, out)
		}
	}
}
