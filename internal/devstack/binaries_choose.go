package devstack

import (
	"context"
	"fmt"
	"log/slog"
)

// choose takes the caller's BinDir or nothing; without one the machine's own,
// else the fetched ones. See find for major.
func (f finder) choose(ctx context.Context, cfg PostgresConfig, major int) (binaries, error) {
	if cfg.BinDir != "" {
		found, err := f.check(ctx, cfg.BinDir, major)
		if err != nil {
			return binaries{}, fmt.Errorf("the given PostgreSQL cannot be used: %w; set PG_BIN_DIR to the directory of postgres and initdb, or unset it", err)
		}
		return found, nil
	}
	found, lookErr := f.find(ctx, major)
	if lookErr == nil {
		return found, nil
	}
	if major != 0 && major != fetchedMajor {
		return binaries{}, noBinariesError(major, lookErr)
	}
	cfg.Logger.InfoContext(ctx, "no PostgreSQL found here; using the fetched one", slog.String("version", fetchedVersion))
	found, fetchErr := f.fetched(ctx, cfg)
	if fetchErr != nil {
		return binaries{}, noBinariesError(major, lookErr, fetchErr)
	}
	return found, nil
}

func (f finder) fetched(ctx context.Context, cfg PostgresConfig) (binaries, error) {
	source, err := newFetcher(cfg, f.who)
	if err != nil {
		return binaries{}, err
	}
	dir, err := source.fetch(ctx)
	if err != nil {
		return binaries{}, err
	}
	found, err := f.check(ctx, dir, 0)
	if err != nil {
		return binaries{}, fmt.Errorf("the fetched PostgreSQL does not run here: %w", err)
	}
	return found, nil
}

func noBinariesError(major int, causes ...error) error {
	wanted := fmt.Sprintf("PostgreSQL >= %d", minPostgresMajor)
	if major != 0 {
		wanted = fmt.Sprintf("PostgreSQL %d (which made the data directory; or remove that directory)", major)
	}
	err := fmt.Errorf("no usable PostgreSQL; install %s, or set PG_BIN_DIR to the directory of its postgres and initdb", wanted)
	for _, cause := range causes {
		err = fmt.Errorf("%w\n  %w", err, cause)
	}
	return err
}
