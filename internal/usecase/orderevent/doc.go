// Package orderevent is what this service exists for: it makes the database
// say of an order what service-order says of it.
//
// Every source of work (Kafka events, orders due for another look, the sweep)
// hands over hints, and all of them take the one way through here:
//
//	Coalescer.Submit  gathers what arrives into a batch        coalescer.go
//	                  an order in one batch at a time          queue.go
//	coalesce          one subject an order                     coalesce.go
//	ask               GET each, concurrently: its sighting     ask.go
//	decide            the factory by what was answered         factory.go
//	                  one file an action                       action_*.go
//	                  when to look again                       look.go
//	Store.InTx        lock, decide, save: one transaction      reconcile.go
//	                  halve what the database refuses          bisect.go
//	Matcher           waiting orders to free couriers          match.go
//
// A hint is never believed: it only says that an order is worth a look. So the
// same hint twice, late, or out of order ends in the same state.
//
// The package knows no Kafka and no SQL.
package orderevent
