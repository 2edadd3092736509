// Package outage logs the start and the end of an outage once each, however often
// the operation is retried in between.
package outage

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Reporter logs the outages of one component: a dependency or a task. It is safe for concurrent use.
type Reporter struct {
	log          *slog.Logger
	component    string
	dependencies []*Dependency

	mu       sync.Mutex
	depends  []*Dependency // those whose outages were failures since the last success
	since    time.Time     // zero while there is no outage
	attempts int
	logged   map[string]bool // by Fixable.Fix
}

// New returns a Reporter of a component, such as "kafka".
func New(log *slog.Logger, component string) *Reporter {
	return &Reporter{log: log, component: component}
}

// Failed reports a failed attempt. It logs the first failure of an outage, and the
// first one with another fix: fixing one fault may reveal the next. The error in the log
// begins with its cause, if that is known; the operation that failed is another attribute.
func (r *Reporter) Failed(ctx context.Context, err error) { r.failed(ctx, err, time.Now()) }

// failed is Failed of an outage that has begun at since, unless it lasts already.
func (r *Reporter) failed(ctx context.Context, err error, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.dependencies {
		if d.failed(ctx, err) {
			r.depends = append(slices.DeleteFunc(r.depends, func(other *Dependency) bool { return other == d }), d)
			return
		}
	}
	r.attempts++
	begins := r.since.IsZero()
	if begins {
		r.since, r.logged = since, make(map[string]bool)
	}
	fix, attrs := "", []any{slog.String("component", r.component), slog.Any("error", err)}
	if f, ok := errors.AsType[Fixable](err); ok {
		fix = f.Fix
		if operation, ok := strings.CutSuffix(err.Error(), ": "+f.Error()); ok {
			attrs = []any{slog.String("component", r.component), slog.Any("error", f), slog.String("operation", operation)}
		}
	}
	if begins || fix != "" && !r.logged[fix] {
		r.logged[fix] = true
		r.log.WarnContext(ctx, "dependency unavailable, retrying", attrs...)
	}
}

// Recovered reports a successful attempt. It logs the first one after an outage.
func (r *Reporter) Recovered(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.depends = slices.DeleteFunc(r.depends, func(d *Dependency) bool { return d.recovered(ctx) })
	if r.since.IsZero() {
		return
	}
	r.log.InfoContext(ctx, "dependency recovered", slog.String("component", r.component),
		slog.String("downtime", time.Since(r.since).Round(time.Millisecond).String()), slog.Int("attempts", r.attempts))
	r.since, r.attempts = time.Time{}, 0
}

// On returns r, for a component that needs dependencies.
func (r *Reporter) On(dependencies ...*Dependency) *Reporter {
	r.dependencies = dependencies
	return r
}

// Lasts reports whether the log has the beginning of an outage, and not its end.
func (r *Reporter) Lasts() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.since.IsZero()
}

// settle is how long after the end of an outage a failure may still belong to it.
const settle = 5 * time.Second

// Dependency is what several components need: its outage is logged once, not by each of
// them. It ends when one of them succeeds again.
type Dependency struct {
	reporter *Reporter
	down     func(error) bool
	impaired func(error) bool // nil: none

	mu      sync.Mutex
	ended   time.Time // the last outage
	failing time.Time // the first failure since the last success; zero: none
	refused time.Time // the last failure that is one of impaired
	lasts   bool
}

// NewDependency returns a Dependency whose outages r logs. down reports whether an error
// is one of its outage.
func NewDependency(r *Reporter, down func(error) bool) *Dependency {
	return &Dependency{reporter: r, down: down}
}

// OrImpaired returns d, whose outages are also the errors for which impaired returns true:
// some attempts fail with them while others succeed. Such an outage ends when none has failed
// for a while.
func (d *Dependency) OrImpaired(impaired func(error) bool) *Dependency {
	d.impaired = impaired
	return d
}

// failed reports whether err is the outage of d.
func (d *Dependency) failed(ctx context.Context, err error) bool {
	impaired := d.impaired != nil && d.impaired(err)
	if !impaired && !d.down(err) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if impaired {
		d.refused = now
	}
	if d.failing.IsZero() {
		d.failing = now
	}
	if d.lasts || d.ended.IsZero() || now.Sub(d.ended) > settle {
		d.lasts = true
		d.reporter.failed(ctx, err, d.failing)
	}
	return true
}

// Lasts reports whether the log has the beginning of an outage, and not its end.
func (d *Dependency) Lasts() bool { return d.reporter.Lasts() }

// recovered reports whether the outage has ended.
func (d *Dependency) recovered(ctx context.Context) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lasts {
		if time.Since(d.refused) < settle {
			return false
		}
		d.lasts, d.ended = false, time.Now()
		d.reporter.Recovered(ctx)
	}
	d.failing = time.Time{}
	return true
}

// Fixable is an error that an operator can fix.
type Fixable struct {
	Cause string // what is wrong, without names of hosts, users and databases; "": Err says it
	Err   error
	Fix   string // imperative, without a full stop; the same on each attempt
}

// Error implements error.
func (f Fixable) Error() string { return f.Detail() + "; " + f.Fix }

// Detail is the text without the fix.
func (f Fixable) Detail() string {
	if f.Cause == "" {
		return f.Err.Error()
	}
	return f.Cause + ": " + f.Err.Error()
}

// Unwrap returns the underlying error.
func (f Fixable) Unwrap() error { return f.Err }

// FixOf returns the fix of err; "" if none is known.
func FixOf(err error) string {
	f, _ := errors.AsType[Fixable](err)
	return f.Fix
}

// Public returns the cause and the fix of err without names of hosts and users, which only
// the log has. It returns otherwise when the cause is not known.
func Public(err error, otherwise string) string {
	if f, ok := errors.AsType[Fixable](err); ok && f.Cause != "" {
		return f.Cause + "; " + f.Fix
	}
	return otherwise
}
