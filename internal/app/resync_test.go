package app

import "testing"

// That nothing is missing read "service-order has none of 0".
func TestNowMissing(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "service-order has all orders that are open now",
		2: "2 of the orders that are open now are missing in service-order",
	} {
		if got := nowMissing(n); got != want {
			t.Errorf("%d missing: %q, want %q", n, got, want)
		}
	}
}
