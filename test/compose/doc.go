// Package compose holds the compose files against the code, as far as that can be
// done without a container engine: it loads them as Docker does, alone and merged,
// and looks at every setting, port, health check, image and dependency.
package compose
