// Package stream tests GET /api/v1/stream as clients use it: the real HTTP
// server over a real PostgreSQL, whose journal is written by transactions that
// overlap and commit in another order than they began.
package stream
