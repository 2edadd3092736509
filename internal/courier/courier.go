package courier

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Status says what a courier is doing.
type Status string

// The statuses of a courier.
const (
	StatusAvailable Status = "available" // may be given an order
	StatusBusy      Status = "busy"      // has exactly one open delivery; never set by hand
	StatusPaused    Status = "paused"    // gets no order until he is made available
)

// Transport is how a courier moves; it decides how long a delivery may take.
type Transport string

// The transports.
const (
	OnFoot  Transport = "on_foot"
	Scooter Transport = "scooter"
	Car     Transport = "car"
)

// Transports lists every transport.
func Transports() []Transport { return []Transport{OnFoot, Scooter, Car} }

// DeliveryTime is how long a delivery may take from the moment of assignment:
// 30 minutes on foot, 15 by scooter, 5 by car; 0 for an unknown transport.
func (t Transport) DeliveryTime() time.Duration {
	switch t {
	case OnFoot:
		return 30 * time.Minute
	case Scooter:
		return 15 * time.Minute
	case Car:
		return 5 * time.Minute
	}
	return 0
}

// Courier is a person who delivers orders.
type Courier struct {
	ID         int64
	Name       string
	Phone      string // unique
	Status     Status
	Transport  Transport
	PauseAfter bool    // he pauses when his delivery ends; only with StatusBusy
	OrderID    OrderID // of his open delivery; "" unless busy
	Deliveries int64   // completed ones
}

// Longest texts accepted of a courier, in characters.
const (
	MaxNameLen  = 200
	MaxPhoneLen = 32
)

// Validate reports every field that a courier must not have so, joined into one
// error that matches ErrInvalidCourier.
func (c Courier) Validate() error {
	var problems []error
	if err := checkText("name", c.Name, MaxNameLen); err != nil {
		problems = append(problems, err)
	}
	if err := checkText("phone", c.Phone, MaxPhoneLen); err != nil {
		problems = append(problems, err)
	}
	switch c.Status {
	case StatusAvailable, StatusBusy, StatusPaused:
	default:
		problems = append(problems, fmt.Errorf("status must be %s, %s or %s, not %q", StatusAvailable, StatusBusy, StatusPaused, c.Status))
	}
	if c.Transport.DeliveryTime() == 0 {
		problems = append(problems, fmt.Errorf("transport_type must be %s, %s or %s, not %q", OnFoot, Scooter, Car, c.Transport))
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrInvalidCourier, errors.Join(problems...))
}

func checkText(field, s string, longest int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("%s is empty", field)
	case utf8.RuneCountInString(s) > longest:
		return fmt.Errorf("%s is longer than %d characters", field, longest)
	case !utf8.ValidString(s), strings.ContainsRune(s, 0):
		return fmt.Errorf("%s is not valid text", field)
	}
	return nil
}
