package app

import (
	"context"
	"fmt"
	"log/slog"

	"service-courier/internal/access"
	"service-courier/internal/config"
	"service-courier/internal/outage"
	"service-courier/internal/transport/rest"
)

// callersOf returns who may call the API; nil when nobody is asked, which is said
// loudly where strangers may reach it.
func callersOf(ctx context.Context, cfg config.Config, log *slog.Logger) (rest.Callers, error) {
	switch {
	case cfg.APITokensFile != "":
		file, err := access.OpenFile(cfg.APITokensFile, outage.New(log, "API_TOKENS_FILE"))
		if err != nil {
			return nil, fmt.Errorf("API_TOKENS_FILE: %w", err)
		}
		return file, nil
	case cfg.APITokens != "":
		tokens, err := access.Parse(string(cfg.APITokens))
		if err != nil {
			return nil, fmt.Errorf("API_TOKENS: %w", err)
		}
		return tokens, nil
	case cfg.Open():
		log.WarnContext(ctx, "INSECURE: whoever reaches this address may read and change everything; set API_TOKENS",
			slog.String("addr", cfg.HTTPAddr))
	}
	return nil, nil //nolint:nilnil // nobody is asked
}
