//go:build !unix

package app

import "math"

// apiConnections is connectionsOf a system without such a limit.
func apiConnections() int { return connectionsOf(math.MaxInt32) }
