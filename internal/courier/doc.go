// Package courier is the domain: couriers, the orders they deliver, and the
// ladder that an order climbs. It knows no Kafka, no HTTP and no SQL, and
// imports nothing but the standard library.
package courier
