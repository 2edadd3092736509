package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"service-courier/internal/dev/pgtest"
	"service-courier/internal/storage/postgres"
	"service-courier/test/realkafka"
)

// upgrade is a service of two builds under load.
type upgrade struct {
	*stack
	old, new string    // paths of the programs
	all      []replica // in the order of their start
}

// replica is an instance of one build. All share the group and the database.
type replica struct {
	instance
	build string // "old" or "new"
	stack *stack // with the replica's address
}

// rollingUpgrade exchanges the replicas of the previous build for those of this one, one
// by one and under load, and then rolls back. Both builds use the same schema. At each
// step every replica makes progress, and at the end the database agrees with
// service-order.
func rollingUpgrade(t *testing.T, broker *realkafka.Broker) {
	t.Helper()
	s := newStack(t, broker.Addr(), pgtest.NewDatabase(t, nil))
	if err := broker.CreateTopic(t.Context(), s.topic, partitions); err != nil {
		t.Fatal(err)
	}
	u := &upgrade{stack: s, old: previousBuild(t), new: binary(t, "service-courier")}
	u.migrateWith(u.old)
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.2", "--publish-delay", "100ms", "--seed", "3")
	a, b := u.start("old", u.old), u.start("old", u.old)
	stop := make(chan struct{})
	orders := u.steady(0, 80, stop)
	u.waitProgress("the old build works", a, b)

	u.migrateWith(u.new)
	u.waitProgress("the old build works after the migration", a, b)
	c := u.start("new", u.new)
	u.waitProgress("both builds work together", a, b, c)
	u.stop(a)
	d := u.start("new", u.new)
	u.stop(b)
	u.waitProgress("the new build works", c, d)

	e := u.start("old", u.old)
	u.waitProgress("both builds work in the rollback", c, d, e)
	u.stop(c)
	u.stop(d)
	u.waitProgress("the old build works alone again", e)

	close(stop)
	// Orders that complete while a partition changes its owner have no delivery.
	u.waitEnded(orders.wait(), true)
	u.checkNoErrors()
}

// migrateWith creates or updates the schema with a build's command.
func (u *upgrade) migrateWith(path string) {
	u.Helper()
	i := u.run(path, []string{"DATABASE_URL=" + u.database}, "migrate", "up")
	<-i.Done()
	if code := i.ExitCode(); code != 0 {
		u.Fatalf("migrate up ended with exit code %d:\n%s", code, i.tail())
	}
}

// start starts a replica and waits until it is ready.
func (u *upgrade) start(build, path string) replica {
	u.Helper()
	own := *u.stack
	own.serviceAddr = freeAddr(u.T)
	r := replica{u.run(path, own.settings(), "serve"), build, &own}
	u.all = append(u.all, r)
	u.eventually("a replica of the "+build+" build is ready", own.ready)
	return r
}

func (u *upgrade) stop(r replica) {
	u.Helper()
	if err := r.Stop(stopWithin); err != nil {
		u.Errorf("the %s build: %v", r.build, err)
	}
}

// waitProgress waits until each replica has reconciled some hints, and checks the
// invariants.
func (u *upgrade) waitProgress(what string, replicas ...replica) {
	u.Helper()
	const hints = 40
	began := time.Now()
	wanted := make([]float64, len(replicas))
	for i, r := range replicas {
		done, err := r.stack.reconciled()
		if err != nil {
			u.Fatalf("%s: %v", what, err)
		}
		wanted[i] = done + hints
	}
	u.eventually(what, func() error {
		var errs []error
		for i, r := range replicas {
			done, err := r.stack.reconciled()
			if err == nil && done < wanted[i] {
				err = fmt.Errorf("replica %d, of the %s build, has reconciled %v hints of %v", i, r.build, done, wanted[i])
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	u.eventually("no invariant is violated", func() error {
		violations, err := postgres.CheckInvariants(u.Context(), u.pool)
		return errors.Join(err, want(0, len(violations)))
	})
	u.Logf("%s (%v)", what, time.Since(began).Round(time.Millisecond))
}

// checkNoErrors checks that the database refused nothing and that there are no dead
// letters.
func (u *upgrade) checkNoErrors() {
	u.Helper()
	if n := u.count("select count(*) from dead_letters"); n != 0 {
		u.Errorf("%d dead letters", n)
	}
	for _, r := range u.all {
		for _, l := range r.lines() {
			if l.Level == "ERROR" || strings.Contains(l.Error, "SQLSTATE") {
				u.Errorf("the %s build logged: %+v", r.build, l)
			}
		}
	}
}

// previousBuild builds service-courier from the newest earlier commit whose schema is the
// present one and which compiles. Without such a commit, as in a shallow clone, it builds
// the present source with another version.
func previousBuild(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "service-courier")
	for _, commit := range commitsOfThisSchema(t.Context()) {
		if err := buildCommit(t, commit, program); err != nil {
			t.Logf("commit %s does not build: %v", commit, err)
			continue
		}
		t.Logf("the previous build is of commit %s", commit)
		return program
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program,
		"-ldflags", "-X service-courier/internal/buildinfo.version=previous", "service-courier/cmd/service-courier")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the present source: %v\n%s", err, out)
	}
	t.Log("no earlier commit has this schema: the previous build is the present source")
	return program
}

// commitsOfThisSchema returns the last few commits before HEAD whose migrations are those
// of the working tree, newest first.
func commitsOfThisSchema(ctx context.Context) (commits []string) {
	const migrations, limit = "internal/storage/postgres/migrations", 5
	changed, err := git(ctx, "status", "--porcelain", "--", migrations).Output()
	if err != nil || len(changed) > 0 {
		return nil
	}
	present, err := git(ctx, "rev-parse", "HEAD:"+migrations).Output()
	if err != nil {
		return nil
	}
	earlier, err := git(ctx, "rev-list", "--max-count=200", "HEAD^").Output()
	if err != nil {
		return nil
	}
	for commit := range strings.FieldsSeq(string(earlier)) {
		schema, err := git(ctx, "rev-parse", commit+":"+migrations).Output()
		if err == nil && string(schema) == string(present) {
			commits = append(commits, commit)
		}
		if len(commits) == limit {
			break
		}
	}
	return commits
}

// buildCommit builds service-courier of a commit in a temporary directory.
func buildCommit(t *testing.T, commit, program string) error {
	t.Helper()
	sources := t.TempDir()
	archive := filepath.Join(sources, "sources.tar")
	for _, cmd := range []*exec.Cmd{
		git(t.Context(), "archive", "--format=tar", "--output="+archive, commit),
		exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", sources),
		exec.CommandContext(t.Context(), "go", "build", "-C", sources, "-buildvcs=false", "-o", program, "./cmd/service-courier"),
	} {
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	return nil
}

// git runs in this repository, for any owner of the clone.
func git(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", filepath.Join("..", "..")}, args...)...)
}
