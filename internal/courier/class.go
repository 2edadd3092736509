package courier

// Class is what counts of an order's status. Classes only rise; their numeric
// order is the ladder: unknown < active < completed < cancelled.
type Class uint8

// The classes, lowest first.
const (
	ClassUnknown   Class = iota // no status, or one this service has never heard of
	ClassActive                 // the order needs a courier
	ClassCompleted              // delivered: the courier is free, the delivery counts
	ClassCancelled              // never to be delivered: the courier is free, nothing counts
)

// classes is the meaning of every status that service-order is known to use.
// Both spellings of cancelled occur; "deleted" is what its DELETE publishes.
var classes = map[string]Class{
	"created":    ClassActive,
	"pending":    ClassActive,
	"confirmed":  ClassActive,
	"cooking":    ClassActive,
	"delivering": ClassActive,
	"updated":    ClassActive,
	"completed":  ClassCompleted,
	"delivered":  ClassCompleted,
	"cancelled":  ClassCancelled,
	"canceled":   ClassCancelled,
	"deleted":    ClassCancelled,
}

// ClassOf returns the class of a status exactly as service-order spells it,
// and ClassUnknown for anything else.
func ClassOf(status string) Class { return classes[status] }

// String returns the class's name, for logs and metrics.
func (c Class) String() string {
	switch c {
	case ClassActive:
		return "active"
	case ClassCompleted:
		return "completed"
	case ClassCancelled:
		return "cancelled"
	case ClassUnknown:
	}
	return "unknown"
}
