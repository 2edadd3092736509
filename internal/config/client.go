package config

import (
	"fmt"

	"github.com/caarlos0/env/v11"
)

// Client is the settings of the commands against a running server.
type Client struct {
	URL   string `env:"COURIER_URL" envDefault:"http://127.0.0.1:8082"`
	Token string `env:"COURIER_TOKEN"`
}

// LoadClient reads the settings of the commands against a running server, from
// the environment and .env as Load does.
func LoadClient() (Client, error) {
	if err := loadDotEnv(); err != nil {
		return Client{}, err
	}
	cfg, err := env.ParseAs[Client]()
	if err != nil {
		return Client{}, fmt.Errorf("read the environment: %w", err)
	}
	return cfg, nil
}
