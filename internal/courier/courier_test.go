package courier_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"service-courier/internal/courier"
)

func TestParseOrderID(t *testing.T) {
	for _, good := range []string{"1", "8e1eda8f-7b6b-41a9-9b9c-66a2d6592647", "A_b-9", strings.Repeat("x", 64)} {
		if id, err := courier.ParseOrderID(good); err != nil || string(id) != good {
			t.Errorf("ParseOrderID(%q) = %q, %v; want it accepted", good, id, err)
		}
	}
	bad := []string{
		"", "..", "a/b", "a%2eb", "a?b", "a#b", "a b", "a\x00b", "a\r\nb", "\xff", "ы", strings.Repeat("x", 65),
	}
	for _, s := range bad {
		if _, err := courier.ParseOrderID(s); !errors.Is(err, courier.ErrBadOrderID) {
			t.Errorf("ParseOrderID(%q): err = %v, want ErrBadOrderID", s, err)
		}
	}
}

// TestNamesAreVisible: a name of spaces, fillers or marks alone shows nothing on a list.
func TestNamesAreVisible(t *testing.T) {
	with := func(name string) error {
		return courier.Courier{Name: name, Phone: "+79001234567", Status: courier.StatusAvailable, Transport: courier.Car}.Validate()
	}
	for _, good := range []string{"Anna", "Анна", "李", "7", "🚗", "A\u200dB", "e\u0301"} {
		if err := with(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"\u200b", " \u200b\u00a0", "\u2060\ufeff", "\u3164", "\u2800", "\u00ad", "\u0301", "\u202e", "\x07"} {
		if err := with(bad); !errors.Is(err, courier.ErrInvalidCourier) || !strings.Contains(err.Error(), "name has no visible character") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestParseClass(t *testing.T) {
	t.Parallel()
	for _, c := range []courier.Class{courier.ClassUnknown, courier.ClassActive, courier.ClassCompleted, courier.ClassCancelled} {
		if got := courier.ParseClass(c.String()); got != c {
			t.Errorf("ParseClass(%q) = %v", c, got)
		}
	}
	if got := courier.ParseClass("delivered"); got != courier.ClassUnknown { // a status
		t.Errorf("ParseClass of a status = %v", got)
	}
}

func TestClassOf(t *testing.T) {
	want := map[courier.Class][]string{
		courier.ClassActive:    {"created", "pending", "confirmed", "cooking", "delivering", "updated"},
		courier.ClassCompleted: {"completed", "delivered"},
		courier.ClassCancelled: {"cancelled", "canceled", "deleted"},
		courier.ClassUnknown:   {"", "Created", "refunded", "completed "},
	}
	for class, statuses := range want {
		for _, s := range statuses {
			if got := courier.ClassOf(s); got != class {
				t.Errorf("ClassOf(%q) = %v, want %v", s, got, class)
			}
		}
	}
}

// TestCanBecome lists every transition, so that a new one must be added here.
func TestCanBecome(t *testing.T) {
	allowed := map[courier.State]string{
		courier.StateNone:      "seen waiting assigned held completed cancelled",
		courier.StateSeen:      "waiting assigned held completed cancelled",
		courier.StateWaiting:   "assigned held completed cancelled",
		courier.StateAssigned:  "waiting held completed cancelled",
		courier.StateHeld:      "waiting assigned completed cancelled",
		courier.StateCompleted: "cancelled",
		courier.StateCancelled: "",
	}
	for _, from := range courier.States() {
		for _, to := range courier.States() {
			want := to != courier.StateNone && strings.Contains(" "+allowed[from]+" ", " "+string(to)+" ")
			if got := from.CanBecome(to); got != want {
				t.Errorf("%q.CanBecome(%q) = %t, want %t", from, to, got, want)
			}
		}
	}
}

func TestValidateNamesEveryInvalidField(t *testing.T) {
	err := courier.Courier{Status: "gone", Transport: "bike"}.Validate()
	if !errors.Is(err, courier.ErrInvalidCourier) {
		t.Fatalf("err = %v, want ErrInvalidCourier", err)
	}
	for _, field := range []string{"name", "phone", "status", "transport_type"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%q does not name %s", err, field)
		}
	}
	ok := courier.Courier{Name: "Anna", Phone: "+7 900 000-00-01", Status: courier.StatusAvailable, Transport: courier.Car}
	if err := ok.Validate(); err != nil {
		t.Errorf("Validate(%+v) = %v", ok, err)
	}
}

// FuzzParseOrderID: an accepted id is unchanged by URL escaping and cannot name
// another path.
func FuzzParseOrderID(f *testing.F) {
	for _, seed := range []string{"a", "..", "a/b", "%2e", "a\x00", "\xff", strings.Repeat("x", 65)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := courier.ParseOrderID(s)
		if err != nil {
			return
		}
		if string(id) != s || len(s) > courier.MaxOrderIDLen || url.PathEscape(s) != s || path.Join("/order", s) != "/order/"+s {
			t.Errorf("ParseOrderID(%q) = %q", s, id)
		}
	})
}
