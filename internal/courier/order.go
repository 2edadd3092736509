package courier

import "fmt"

// MaxOrderIDLen is the longest order id that is accepted, in bytes.
const MaxOrderIDLen = 64

// OrderID names an order of service-order. A value obtained from ParseOrderID
// is safe in a URL path and in a text column.
type OrderID string

// ParseOrderID accepts ^[A-Za-z0-9_-]{1,64}$ and refuses everything else with
// ErrBadOrderID, so that no id can leave the path it is put in ("..", "/",
// "%2e") or break a text column (NUL, bad UTF-8).
func ParseOrderID(s string) (OrderID, error) {
	if s == "" {
		return "", fmt.Errorf("%w: it is empty", ErrBadOrderID)
	}
	if len(s) > MaxOrderIDLen {
		return "", fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrBadOrderID, len(s), MaxOrderIDLen)
	}
	for i := range len(s) {
		if !isIDByte(s[i]) {
			return "", fmt.Errorf("%w: %q is not among A-Z a-z 0-9 _ -", ErrBadOrderID, s[i:i+1])
		}
	}
	return OrderID(s), nil
}

func isIDByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	default:
		return b == '-' || b == '_'
	}
}
