package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of CPU time in /proc on every Linux.
const tick = 10 * time.Millisecond

// process is what /proc/PID/stat tells of a process.
type process struct {
	pid, parent int
	name        string
	cpu         time.Duration // its own and that of its children that have ended
}

// cpuByProgram sums up the CPU time of this process and of everything that it
// started, by name. It is empty where there is no /proc.
func cpuByProgram() map[string]time.Duration {
	all := make(map[int]process)
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a constant
	for _, path := range paths {
		if p, ok := readStat(path); ok {
			all[p.pid] = p
		}
	}
	sums := make(map[string]time.Duration)
	for _, p := range all {
		if descends(all, p.pid) {
			sums[p.name] += p.cpu
		}
	}
	return sums
}

// perEvent is the CPU time of each program between two looks, in µs an event.
func perEvent(before, after map[string]time.Duration, events int) map[string]float64 {
	us := make(map[string]float64)
	for name, cpu := range after {
		if spent := cpu - before[name]; spent > 0 {
			us[name] = float64(spent.Microseconds()) / float64(events)
		}
	}
	return us
}

// readStat reads "PID (NAME) STATE PPID … UTIME STIME CUTIME CSTIME …".
func readStat(path string) (p process, ok bool) {
	stat, err := os.ReadFile(path)
	if err != nil {
		return p, false // it has ended meanwhile
	}
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 1 || to < from {
		return p, false
	}
	fields := bytes.Fields(stat[to+1:])
	const ppid, utime, cstime = 1, 11, 14
	if len(fields) <= cstime {
		return p, false
	}
	p.pid, _ = strconv.Atoi(string(stat[:from-1]))
	p.parent, _ = strconv.Atoi(string(fields[ppid]))
	p.name = string(stat[from+1 : to])
	for _, f := range fields[utime : cstime+1] {
		n, _ := strconv.Atoi(string(f))
		p.cpu += time.Duration(n) * tick
	}
	return p, true
}

// descends reports whether a process is this one, or was started by it.
func descends(all map[int]process, pid int) bool {
	for pid > 1 {
		if pid == os.Getpid() {
			return true
		}
		pid = all[pid].parent
	}
	return false
}
