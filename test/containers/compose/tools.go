//go:build tools

// Package compose keeps the main package of docker compose in this module's go.mod.
package compose

import _ "github.com/docker/compose/v2/cmd"
