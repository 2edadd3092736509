package devmode

import (
	"bytes"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"service-courier/internal/courier"
	"service-courier/internal/usecase/deadletters"
	"service-courier/internal/usecase/livefeed"
)

func TestFeedLines(t *testing.T) {
	t.Parallel()
	const id = "cced8fec-4c5f-4197-bd8d-bddc71f21146"
	at := time.Date(2026, 3, 4, 15, 6, 7, 0, time.Local)
	entry := func(what, now courier.State, courierID int64, name string) livefeed.Change {
		return livefeed.Change{At: at.UTC(), OrderID: id, State: what, CurrentState: now, CourierID: courierID, CourierName: name, Transport: courier.OnFoot}
	}
	for _, tt := range []struct {
		entry livefeed.Change
		want  string
	}{
		{entry(courier.StateAssigned, courier.StateAssigned, 3, "Vera"), "15:06:07  assigned     " + id + "  to Vera (courier 3, on foot)"},
		{entry(courier.StateWaiting, courier.StateWaiting, 0, ""), "15:06:07  waiting      " + id + "  for a free courier"},
		{entry(courier.StateWaiting, courier.StateAssigned, 0, ""), ""}, // assigned at once
		{entry(courier.StateCompleted, courier.StateCompleted, 3, "Vera"), "15:06:07  completed    " + id + "  by Vera (courier 3, on foot)"},
		{entry(courier.StateCompleted, courier.StateCompleted, 0, ""), "15:06:07  completed    " + id + "  without a courier"},
		{entry(courier.StateCancelled, courier.StateCancelled, 3, "Vera"), "15:06:07  cancelled    " + id + "  freed Vera (courier 3, on foot)"},
		{entry(courier.StateCancelled, courier.StateCancelled, 0, ""), "15:06:07  cancelled    " + id + "  without a courier"},
		{entry(courier.StateHeld, courier.StateHeld, 0, ""), ""},
		{entry(courier.StateHeld, courier.StateHeld, 3, "Vera"), "15:06:07  held         " + id + "  unassigned from Vera (courier 3, on foot)"},
		{
			entry(courier.StateCancelled, courier.StateCancelled, 99, "\x1b[31mMaximilian Bartholomew"),
			"15:06:07  cancelled    " + id + "  freed [31mMaximil… (courier 99, on foot)",
		},
	} {
		got := changeLine(tt.entry)
		if got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if n := utf8.RuneCountInString(got); n > 104 {
			t.Errorf("%d columns: %s", n, got)
		}
	}
	got := deadLetterLine(deadletters.Summary{CreatedAt: at, Partition: 2, Offset: 17, Reason: "bad_order_id"})
	if want := "15:06:07  dead letter  partition 2, offset 17                bad_order_id; psql: table dead_letters"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFeedPrintsAnOutageOnce: it is one line, and none beside the log.
func TestFeedPrintsAnOutageOnce(t *testing.T) {
	t.Parallel()
	down := errors.New("connect:\n\tdial error")
	for logged, want := range map[bool]string{true: "", false: "reading the database failed, retrying: connect: dial error\n"} {
		var out bytes.Buffer
		f := &feed{logged: logged}
		for _, err := range []error{nil, down, errors.Join(down, down), nil} {
			f.report(&out, err)
		}
		if out.String() != want {
			t.Errorf("logged %t: %q, want %q", logged, out.String(), want)
		}
	}
}
