package devstack

import (
	"context"
	"fmt"
)

// chooseBinaries takes the caller's BinDir or nothing; without one the
// machine's own, else the fetched ones.
func chooseBinaries(ctx context.Context, cfg PostgresConfig, who account, major int) (binaries, error) {
	f := newFinder(who)
	if cfg.BinDir != "" {
		found, err := f.check(ctx, cfg.BinDir, major)
		if err != nil {
			return binaries{}, fmt.Errorf("the given PostgreSQL (PG_BIN_DIR) cannot be used: %w", err)
		}
		return found, nil
	}
	found, lookErr := f.find(ctx, major)
	if lookErr == nil {
		return found, nil
	}
	return binaries{}, noBinariesError(major, lookErr)
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
