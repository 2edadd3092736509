package buildinfo

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	for name, test := range map[string]struct {
		settings []debug.BuildSetting
		want     string // commit
	}{
		"no checkout": {nil, ""},
		"a commit":    {[]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}}, "abc"},
		"changed":     {[]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}, "abc-dirty"},
	} {
		var got Info
		if got.describe(test.settings); got.Commit != test.want {
			t.Errorf("%s: commit %q, want %q", name, got.Commit, test.want)
		}
	}
}

// TestRead: the linker's values take precedence, and no field is empty.
func TestRead(t *testing.T) {
	if got := Read().String(); !strings.HasPrefix(got, "dev, commit ") || strings.Contains(got, ", ,") || strings.Contains(got, "commit ,") {
		t.Errorf("a build without a release: %s", got)
	}
	version, commit, date = "v1.2.3", "abc", "2026-01-02T15:04:05Z"
	defer func() { version, commit, date = "", "", "" }()
	if got := Read().String(); !strings.HasPrefix(got, "v1.2.3, commit abc, of 2026-01-02T15:04:05Z, go1.") {
		t.Errorf("a release: %s", got)
	}
}
