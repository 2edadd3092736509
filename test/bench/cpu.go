package main

import (
	"bytes"
	"cmp"
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
	cpu         time.Duration
	ended       time.Duration // of its children that have ended
}

// others is the CPU time of whatever else runs on the machine.
const others = "others"

// names are what programs are called in the report.
var names = map[string]string{"java": "kafka", "postgres": "postgresql"}

// cpuByProgram sums up the CPU time of this process, which is service-order, of
// everything that it started, and of the rest of the machine. It is empty where
// there is no /proc.
func cpuByProgram() map[string]time.Duration {
	all := make(map[int]process)
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a constant
	for _, path := range paths {
		if p, ok := readStat(path); ok {
			all[p.pid] = p
		}
	}
	if len(all) == 0 {
		return nil
	}
	sums := map[string]time.Duration{others: machineCPU()}
	for _, p := range all {
		if !descends(all, p.pid) {
			continue
		}
		sums[others] -= p.cpu + p.ended
		if p.pid == os.Getpid() {
			sums["service-order"] += p.cpu
			sums["client"] += p.ended // of the pure GETs; the service lives on while it is measured
			continue
		}
		sums[cmp.Or(names[p.name], p.name)] += p.cpu + p.ended
	}
	return sums
}

// machineCPU is the CPU time that the whole machine has spent working.
func machineCPU() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	// cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL …
	first, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(first)
	if len(fields) < 9 {
		return 0
	}
	return ticks(fields[1:4]) + ticks(fields[6:9])
}

// perEvent is the CPU time of each program between two looks, in µs an event.
func perEvent(before, after map[string]time.Duration, events int) map[string]float64 {
	us := make(map[string]float64)
	for name, cpu := range after {
		if spent := cpu - before[name]; spent > tick { // less is noise
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
	const ppid, utime = 1, 11
	if len(fields) < utime+4 {
		return p, false
	}
	p.pid, _ = strconv.Atoi(string(stat[:from-1]))
	p.parent, _ = strconv.Atoi(string(fields[ppid]))
	p.name = string(stat[from+1 : to])
	p.cpu = ticks(fields[utime : utime+2])
	p.ended = ticks(fields[utime+2 : utime+4])
	return p, true
}

// ticks sums up times of /proc.
func ticks(fields [][]byte) (sum time.Duration) {
	for _, f := range fields {
		n, _ := strconv.Atoi(string(f))
		sum += time.Duration(n) * tick
	}
	return sum
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
