package main

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of CPU time in /proc.
const tick = 10 * time.Millisecond

// process is an entry of /proc/PID/stat.
type process struct {
	pid, parent   int
	name          string
	cpu           time.Duration
	endedChildren time.Duration // CPU time of children that have ended
}

// others is the CPU time of the rest of the machine.
const others = "others"

// programNames maps executables to the names in the report.
var programNames = map[string]string{"java": "kafka", "postgres": "postgresql", "bench": "viewers"}

// cpuByProgram returns the CPU time of this process, which is the order service, of
// everything it started, and of the rest of the machine; nothing without /proc.
func cpuByProgram() map[string]time.Duration {
	all := make(map[int]process)
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
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
		if !isOurs(all, p.pid) {
			continue
		}
		sums[others] -= p.cpu + p.endedChildren
		if p.pid == os.Getpid() {
			sums["service-order"] += p.cpu
			sums["client"] += p.endedChildren // the pure GETs and one by one; the service is still running
			continue
		}
		sums[cmp.Or(programNames[p.name], p.name)] += p.cpu + p.endedChildren
	}
	return sums
}

// machineCPU is the CPU time of the whole machine.
func machineCPU() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	// cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL …
	first, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(first)
	if len(fields) < 9 {
		return 0
	}
	return sumTicks(fields[1:4]) + sumTicks(fields[6:9])
}

// perEvent is the CPU time of each program between two calls of cpuByProgram, in µs per event.
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
		return p, false // the process has ended
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
	p.cpu = sumTicks(fields[utime : utime+2])
	p.endedChildren = sumTicks(fields[utime+2 : utime+4])
	return p, true
}

func sumTicks(fields [][]byte) (sum time.Duration) {
	for _, f := range fields {
		n, _ := strconv.Atoi(string(f))
		sum += time.Duration(n) * tick
	}
	return sum
}

// isOurs reports whether a process is this one or a descendant.
func isOurs(all map[int]process, pid int) bool {
	for pid > 1 {
		if pid == os.Getpid() {
			return true
		}
		pid = all[pid].parent
	}
	return false
}
