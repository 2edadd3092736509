// Package ordersim is a stand-in for service-order, the neighbour that owns
// the orders: the same HTTP API under /public/api/v1, the same order life on
// the same timers, the same unkeyed Kafka events. It exists so that the courier
// service can be run, shown and tested without the neighbour's source, with
// its faults made adjustable: faster timers, generated traffic, events that are
// lost, doubled or late, a restart that forgets everything.
//
// It must stay as careless as the original. Events have no key, no version and
// the time of publishing; they go out after the order changed, and one that
// cannot be published is gone. Making it more helpful than the neighbour would
// let the courier service pass tests that production fails.
//
// It imports nothing else of this module, and nothing here may be used by the
// courier service except to start it (service-courier dev) and in tests. The
// neighbour's gRPC API (GetOrders, GetOrderById) is out of scope.
//
// The path of a change, whoever asked for it (HTTP, a timer, the generator, a
// test):
//
//	Sim.change / Sim.add ─► store (and state file) ─► next timer armed ─► outbox ─► Publisher
package ordersim
