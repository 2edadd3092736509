package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caarlos0/env/v11"
)

const (
	dotEnv    = ".env" // of the working directory
	maxDotEnv = 1 << 20
)

// environment is the process's variables and those that it takes from .env.
type environment struct {
	values   map[string]string
	fromFile map[string]bool
}

// readEnvironment returns the environment and, for the names that are not in it, the
// values of .env. It does not change the environment of the process: a file of the
// working directory must not set EDITOR, PATH or a proxy.
func readEnvironment() (environment, error) {
	e := environment{values: env.ToMap(os.Environ()), fromFile: map[string]bool{}}
	if err := e.checkQuotes(); err != nil {
		return e, invalid(err)
	}
	file, err := readDotEnv()
	if err != nil {
		return e, err
	}
	for name, value := range file {
		if _, set := e.values[name]; !set {
			e.values[name], e.fromFile[name] = value, true
		}
	}
	return e, nil
}

// settingNames are the names in the tags of Config and Client.
func settingNames() (names []string) {
	for _, settings := range []reflect.Type{reflect.TypeFor[Config](), reflect.TypeFor[Client]()} {
		for field := range settings.Fields() {
			if field.IsExported() {
				names = append(names, field.Tag.Get("env"))
			}
		}
	}
	return names
}

// checkQuotes refuses values that a tool has passed on with their quotes, as `docker
// run --env-file` does. In .env such a value can be quoted once more.
func (e environment) checkQuotes() error {
	var bad []error
	for _, name := range settingNames() {
		v := e.values[name]
		if len(v) > 1 && v[0] == v[len(v)-1] && strings.ContainsRune(`"'`, rune(v[0])) {
			bad = append(bad, fmt.Errorf("%s: the value begins and ends with %c: remove the quotes, "+
				"which 'docker run --env-file' passes on", name, v[0]))
		}
	}
	return errors.Join(bad...)
}

// checkOrigins refuses a secret of the environment whose destination comes from .env, or
// whose protection .env removes: the author of that file could receive the secret.
func (e environment) checkOrigins(secret string, destinations ...string) error {
	if e.values[secret] == "" || e.fromFile[secret] {
		return nil
	}
	for _, name := range destinations {
		if e.fromFile[name] && e.values[name] != "" && e.values[name] != "false" { // as in a copy of .env.example
			return fmt.Errorf("%s is set in the environment, but %s comes from the file .env: "+
				"a secret is not sent to an address from another source; set both in one place", secret, name)
		}
	}
	return nil
}

// checkSecretFile refuses a file that .env names together with the destination of its
// content, unless it lies in the directory of .env: the author of .env could receive any
// file of this user.
func (e environment) checkSecretFile(name, path string, destinations ...string) error {
	if path == "" || !e.fromFile[name] || !slices.ContainsFunc(destinations, func(d string) bool { return e.fromFile[d] }) {
		return nil
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path // it cannot be read either
	}
	if filepath.IsLocal(path) && filepath.IsLocal(target) {
		return nil
	}
	return fmt.Errorf("%s comes from the file .env and names a file outside its directory, and %s comes from .env too: "+
		"set %[1]s in the environment, or move the file", name, strings.Join(destinations, " or "))
}

// exportOTEL sets the variables of .env that the OpenTelemetry SDK reads itself, and no
// other ones.
func (e environment) exportOTEL() error {
	for name := range e.fromFile {
		if strings.HasPrefix(name, "OTEL_") {
			if err := os.Setenv(name, e.values[name]); err != nil {
				return fmt.Errorf("set %s: %w", name, err)
			}
		}
	}
	return nil
}

// readDotEnv returns nothing without a file.
func readDotEnv() (map[string]string, error) {
	info, err := os.Stat(dotEnv)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the file .env: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxDotEnv { // a FIFO would block
		return nil, fmt.Errorf("read the file .env: want a regular file of at most %d KiB", maxDotEnv>>10)
	}
	content, err := os.ReadFile(dotEnv)
	if err != nil {
		return nil, fmt.Errorf("read the file .env: %w", err)
	}
	values, err := parseDotEnv(content)
	if err != nil {
		return nil, fmt.Errorf("the file .env: %w", err)
	}
	return values, nil
}

var assignment = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)$`)

// parseDotEnv reads lines of NAME=value, as .env.example describes them. A value is
// taken as written: nothing is expanded and no character is an escape. No error
// shows a value.
func parseDotEnv(content []byte) (map[string]string, error) {
	content = bytes.TrimPrefix(content, []byte("\uFEFF"))
	if bytes.HasPrefix(content, []byte{0xFF, 0xFE}) || bytes.HasPrefix(content, []byte{0xFE, 0xFF}) || bytes.IndexByte(content, 0) >= 0 {
		return nil, errors.New("encoded as UTF-16, or binary: save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)")
	}
	values := map[string]string{}
	number := 0
	for line := range strings.SplitSeq(string(content), "\n") {
		number++
		line = strings.TrimSpace(strings.TrimSuffix(line, "\r"))
		if line == "" || line[0] == '#' {
			continue
		}
		if !utf8.ValidString(line) {
			return nil, fmt.Errorf("line %d is not UTF-8: save the file as UTF-8", number)
		}
		found := assignment.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf("line %d: want NAME=value, as in .env.example", number)
		}
		value, err := dotEnvValue(found[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", number, found[1], err)
		}
		values[found[1]] = value
	}
	return values, nil
}

// dotEnvValue removes quotes and a comment.
func dotEnvValue(text string) (string, error) {
	if i := strings.IndexFunc(text, unicode.IsControl); i >= 0 && text[i] != '\t' {
		return "", fmt.Errorf("contains the control character %U", text[i])
	}
	if text == "" || !strings.ContainsRune(`"'`, rune(text[0])) {
		if strings.HasPrefix(text, "#") {
			return "", errors.New("begins with #: put a value in quotes, and a comment on a line of its own")
		}
		value, _, _ := strings.Cut(strings.ReplaceAll(text, "\t#", " #"), " #")
		return strings.TrimSpace(value), nil
	}
	quote := text[:1]
	value, rest, closed := strings.Cut(text[1:], quote)
	if !closed {
		return "", fmt.Errorf("begins with %s, but the line has no second one", quote)
	}
	if rest = strings.TrimSpace(rest); rest != "" && rest[0] != '#' {
		return "", fmt.Errorf("has text after the closing %s: put a value that contains %[1]s in the other quotes", quote)
	}
	return value, nil
}
