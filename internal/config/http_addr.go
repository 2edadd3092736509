package config

import "github.com/caarlos0/env/v11"

// LoadHTTPAddr reads HTTP_ADDR alone, as Load does, for a command that only
// asks the service that listens there: whatever else is wrong is not its business.
func LoadHTTPAddr() (string, error) {
	if err := loadDotEnv(); err != nil {
		return "", err
	}
	cfg, _ := env.ParseAs[Config]() // what cannot be parsed is left out, and is not HTTP_ADDR
	return cfg.HTTPAddr, settings(none(cfg.checkHTTPAddr()))
}
