// Package client calls the API of a running server, for the commands of a
// person. It hands JSON on as the server sent it: what a newer server adds is
// shown without a change here. It knows nothing of terminals and tables.
package client
