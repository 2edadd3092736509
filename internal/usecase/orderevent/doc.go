// Package orderevent processes orders. An event is only a hint: "check this order". The
// package fetches the order from service-order, decides, and saves the result. The same
// hint twice, late or out of order ends in the same state.
//
// Kafka events, due rechecks and the resync all take the same path:
//
//	Batcher.Submit        collects hints into batches           batcher.go
//	queue                 one batch per order at a time         queue.go
//	Reconciler.Reconcile  processes one batch                   reconcile.go
//	  mergeHints          all hints of an order become one      hint.go
//	  fetch               GET every order, concurrently         fetch.go
//	  save                one transaction: lock, decide, save
//	    decide            the factory: one action per answer    decide.go
//	                      when to fetch the order again         recheck.go
//	  split               only after PostgreSQL refused a batch split.go
//	Matcher               assigns waiting orders to couriers    match.go
//
// Execute, for a dispatcher's command about one order, shares this path.
//
// The package imports neither Kafka nor SQL.
package orderevent
