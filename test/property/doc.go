// Package property holds the test of the whole promise: whatever the history
// of some orders, and however their events are doubled, shuffled, late and
// overtaken by older answers, two replicas end in the state that service-order
// tells. It holds no product code.
package property
