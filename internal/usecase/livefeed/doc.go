// Package livefeed tells what happens while it happens: first how things stand,
// then every change, none missed and none twice.
//
// The journal has no commit order of its own, so it is read behind the oldest
// transaction that still runs. One Reader does so for all who listen:
//
//	Reader        follows the journal from a cursor           reader.go
//	Hub           reads for all clients, while there are any  hub.go
//	ring          the latest changes, encoded once            ring.go
//	Subscription  one client's place in the ring              subscription.go
//	Snapshot      how things stand, and what it has seen      snapshot.go
//
// A client holds a place, never a buffer: whoever falls behind the ring is told
// anew how things stand. The package knows no SQL and no HTTP.
package livefeed
