// Package courier is the domain: couriers, orders, and the states and classes of an
// order. It imports nothing but the standard library.
package courier

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Status is the status of a courier.
type Status string

// The statuses of a courier.
const (
	StatusAvailable Status = "available" // matching may assign an order
	StatusBusy      Status = "busy"      // has exactly one open delivery; set only by an assignment
	StatusPaused    Status = "paused"    // gets no order until resumed
)

// Transport is the means of transport; it determines the deadline of a delivery.
type Transport string

// The transports.
const (
	OnFoot  Transport = "on_foot"
	Scooter Transport = "scooter"
	Car     Transport = "car"
)

// Transports lists every transport.
func Transports() []Transport { return []Transport{OnFoot, Scooter, Car} }

// DeliveryTime is the time from assignment to deadline; 0 for an unknown transport.
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

// Courier is a courier with their current status.
type Courier struct {
	ID         int64
	Name       string
	Phone      string // in E.164; unique
	Status     Status
	Transport  Transport
	PauseAfter bool    // pause when the open delivery ends; only with StatusBusy
	OrderID    OrderID // of the open delivery; "" unless busy
	Deliveries int64   // completed
}

// Maximum lengths in characters.
const (
	MaxNameLen  = 200
	MaxPhoneLen = 32
)

// Validate returns every invalid field, joined into one error that matches
// ErrInvalidCourier.
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

// isVisible reports whether a character is visible on its own. Fillers and the blank of
// Braille count as letters and symbols, but are not.
func isVisible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != brailleBlank
}

func checkText(field, s string, longest int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("%s is empty", field)
	case !strings.ContainsFunc(s, isVisible):
		return fmt.Errorf("%s has no visible character", field)
	case utf8.RuneCountInString(s) > longest:
		return fmt.Errorf("%s is longer than %d characters", field, longest)
	case !utf8.ValidString(s), strings.ContainsRune(s, 0):
		return fmt.Errorf("%s is not valid text", field)
	}
	return nil
}
