// Package buildinfo tells which build of the programs this is. A release sets
// the three variables with the linker's -X; any other build is described by
// what the go command noted of its sources.
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

// Info is one build.
type Info struct {
	Version  string `json:"version"`  // of the release, "dev" of any other build
	Commit   string `json:"commit"`   // "unknown" where the sources were no checkout; "-dirty" where they were changed
	Date     string `json:"date"`     // of the commit, RFC 3339, or "unknown"
	Go       string `json:"go"`       // the compiler's version
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

// describe takes what the go command noted of the checkout, if it did.
func (i *Info) describe(settings []debug.BuildSetting) {
	noted := make(map[string]string, len(settings))
	for _, s := range settings {
		noted[s.Key] = s.Value
	}
	i.Commit, i.Date = noted["vcs.revision"], noted["vcs.time"]
	if i.Commit != "" && noted["vcs.modified"] == "true" {
		i.Commit += "-dirty"
	}
}

// String is one line: "v1.2.3, commit …, of 2026-01-02T15:04:05Z, go1.26.0, linux/amd64".
func (i Info) String() string {
	return fmt.Sprintf("%s, commit %s, of %s, %s, %s", i.Version, i.Commit, i.Date, i.Go, i.Platform)
}
