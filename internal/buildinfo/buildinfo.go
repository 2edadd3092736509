// Package buildinfo describes the build of the running program. A release sets the
// three variables with the linker's -X; other builds use what the go command
// recorded.
package buildinfo

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker: -X service-courier/internal/buildinfo.version=v1.2.3 …
var (
	version string // such as v1.2.3
	commit  string // the full hash
	date    string // of the commit, RFC 3339
)

// Info describes a build.
type Info struct {
	Version  string `json:"version"`  // of a release, else "dev"
	Commit   string `json:"commit"`   // "unknown" outside a checkout; ends with "-dirty" if files were changed
	Date     string `json:"date"`     // of the commit, RFC 3339; or "unknown"
	Go       string `json:"go"`       // version of Go
	Platform string `json:"platform"` // such as linux/amd64
}

// Read returns the build of this program.
func Read() Info {
	info := Info{Version: version, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build, ok := debug.ReadBuildInfo(); ok && commit == "" {
		info.describe(build.Settings)
	}
	info.Version = cmp.Or(info.Version, "dev")
	info.Commit = cmp.Or(info.Commit, "unknown")
	info.Date = cmp.Or(info.Date, "unknown")
	return info
}

// describe uses the version control settings that the go command recorded, if any.
func (i *Info) describe(settings []debug.BuildSetting) {
	recorded := make(map[string]string, len(settings))
	for _, s := range settings {
		recorded[s.Key] = s.Value
	}
	i.Commit, i.Date = recorded["vcs.revision"], recorded["vcs.time"]
	if i.Commit != "" && recorded["vcs.modified"] == "true" {
		i.Commit += "-dirty"
	}
}

// String returns one line: "v1.2.3, commit …, of 2026-01-02T15:04:05Z, go1.26.0, linux/amd64".
func (i Info) String() string {
	return fmt.Sprintf("%s, commit %s, of %s, %s, %s", i.Version, i.Commit, i.Date, i.Go, i.Platform)
}
