// Package property tests convergence: for any history of some orders, with events
// duplicated, shuffled, late and overtaken by older answers, several replicas end in the
// state of service-order. It contains no product code.
package property
