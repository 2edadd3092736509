package devstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// superuser is the role that URLs name.
const superuser = "postgres"

// ensureCluster makes the cluster when there is none. It is made beside its
// place and renamed, so that a half made one is never started.
func (p *Postgres) ensureCluster(ctx context.Context, major int) error {
	if major != 0 {
		return nil
	}
	fresh := filepath.Join(p.dir.root, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := p.initdb(ctx, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, p.dir.cluster())
}

func (p *Postgres) initdb(ctx context.Context, target string) error {
	args := []string{
		"-D", target, "-U", superuser, "--pwfile=" + p.dir.password(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions",
	}
	args = append(args, localeArgs(p.bin.major)...)
	if p.cfg.Fast {
		args = append(args, "--no-sync")
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, p.bin.initdb(), args...)
	cmd.Env = childEnv()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = p.who.sysProcAttr()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second

	if err := cmd.Start(); err != nil {
		return explainStart(err, p.who, p.bin.initdb())
	}
	tellErr := p.dog.tell("group", cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("initdb: %w", context.Cause(ctx))
		}
		return fmt.Errorf("initdb in %s: %w\n%s", target, err, tail(output.Bytes()))
	}
	if tellErr != nil {
		return tellErr
	}
	return p.dog.tell("none", 0)
}

// localeArgs sort and compare alike on every machine: bytes, whatever the
// system's locales are. Since 17 there is such a locale that also knows the
// upper and lower case of all letters.
func localeArgs(major int) []string {
	if major >= 17 {
		return []string{"--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"}
	}
	return []string{"--locale=C"}
}

// tail is the end of a log, as much as an error message can carry.
func tail(log []byte) []byte {
	const most = 2000
	log = bytes.TrimSpace(log)
	if len(log) <= most {
		return log
	}
	log = log[len(log)-most:]
	if _, rest, found := bytes.Cut(log, []byte("\n")); found {
		log = rest
	}
	return log
}
