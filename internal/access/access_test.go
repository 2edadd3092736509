package access_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"service-courier/internal/access"
)

const (
	annToken = "sesame-sesame-sesame-sesame"
	bobToken = "Sesame+sesame/sesame~sesame=="
)

func TestParse(t *testing.T) {
	tokens, err := access.Parse("ann:operate:" + annToken + " , bob:read:" + bobToken + "\n # comment:read:x\n\n")
	if err != nil || tokens.Len() != 2 {
		t.Fatalf("%d tokens, %v", tokens.Len(), err)
	}
	for token, want := range map[string]access.Caller{
		annToken: {Name: "ann", Role: access.Operate}, bobToken: {Name: "bob", Role: access.Read},
		"": {}, annToken + "x": {}, annToken[1:]: {}, strings.ToUpper(annToken): {}, "ann:operate:" + annToken: {},
	} {
		if got, known := tokens.Caller(t.Context(), token); got != want || known != (want != access.Caller{}) {
			t.Errorf("Caller(%q) = %+v, %t; want %+v", token, got, known, want)
		}
	}
	if shown := fmt.Sprintf("%+v %#v", tokens, tokens); strings.Contains(strings.ToLower(shown), "sesame") {
		t.Errorf("printing shows a token: %s", shown)
	}
}

// TestParseErrorNamesEveryBadEntry and shows no token.
func TestParseErrorNamesEveryBadEntry(t *testing.T) {
	for text, reason := range map[string]string{
		"ann":                                  "want name:role:token",
		"ann:operate":                          "want name:role:token",
		":read:" + annToken:                    "a name has",
		"a b:read:" + annToken:                 "a name has",
		"ann:admin:" + annToken:                "the role of ann",
		"ann:read:sesame":                      "shorter than 24",
		"ann:read:sesame sesame sesame sesame": "has characters other than",
		"ann:read:" + annToken + "\x00":        "has characters other than",
		"ann:read:=" + annToken:                "has characters other than",
		"ann:read:" + annToken + ",ann:read:" + bobToken: "the name ann is used twice",
		"ann:read:" + annToken + ",bob:read:" + annToken: "bob has the same token",
	} {
		_, err := access.Parse("first:read:first-first-first-first,sesame," + text)
		if err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "token 2: want") {
			t.Errorf("%q: %v, want %q, and the second entry named", text, err, reason)
		} else if strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: the error shows a token: %v", text, err)
		}
	}
}

func TestRoles(t *testing.T) {
	for _, tt := range []struct {
		has, needed access.Role
		allowed     bool
	}{
		{access.Read, access.Read, true},
		{access.Operate, access.Read, true},
		{access.Operate, access.Operate, true},
		{access.Read, access.Operate, false},
		{"", access.Read, false},
	} {
		if tt.has.Allows(tt.needed) != tt.allowed {
			t.Errorf("%q.Allows(%q) != %t", tt.has, tt.needed, tt.allowed)
		}
	}
}

// reports records the calls of a Reporter.
type reports []string

func (r *reports) Failed(_ context.Context, err error) { *r = append(*r, err.Error()) }
func (r *reports) Recovered(context.Context)           { *r = append(*r, "recovered") }

// TestFileIsReread replaces a token: within a second the new one is valid and the
// old one is not. A file that cannot be used changes nothing.
func TestFileIsReread(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# the old one\nann:operate:" + annToken)
	synctest.Test(t, func(t *testing.T) {
		var reported reports
		file, err := access.OpenFile(path, &reported)
		if err != nil {
			t.Fatal(err)
		}
		valid := func(token string) bool { _, known := file.Caller(t.Context(), token); return known }
		expect := func(when string, ann, bob bool) {
			t.Helper()
			if valid(annToken) != ann || valid(bobToken) != bob {
				t.Errorf("%s: the old token is valid: %t, the new one: %t", when, valid(annToken), valid(bobToken))
			}
		}
		expect("at the start", true, false)
		write("\uFEFFbob:operate:" + bobToken + "\r\n")
		expect("at once", true, false)
		time.Sleep(time.Second) // of the synctest clock
		expect("a second later", false, true)

		for _, unusable := range []string{"bob:operate:short", "ann"} {
			write(unusable)
			time.Sleep(time.Second)
			expect("unusable", false, true)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expect("gone", false, true)
		if len(reported) != 4 || strings.Contains(strings.Join(reported, ""), "sesame") {
			t.Errorf("reported %q", reported)
		}
		write("")
		time.Sleep(time.Second)
		expect("empty", false, false)
	})
}

func TestOpenFileRejectsUnusableFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := access.OpenFile(filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for name, text := range map[string]string{"empty": "", "comment": "# ann", "bad": "ann:read:sesame"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := access.OpenFile(path, nil); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
