package app

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
	"service-courier/internal/usecase/livefeed"
)

// A line of the feed: when, what, which order, and more. Ids are whole, since a
// person copies them into a command; with one of the usual 36 letters a line
// stays within 100 columns.
func feedLine(at time.Time, what, whose, more string) string {
	return fmt.Sprintf("%s  %-9s  %-36s  %s", at.Local().Format(time.TimeOnly), what, whose, more)
}

// changeLine words a change of an order; "" for one that is not worth a line.
func changeLine(c livefeed.Change) string {
	more := ""
	switch {
	case c.What == courier.StateAssigned:
		more = "to " + who(c)
	case c.What == courier.StateWaiting && c.Now == courier.StateWaiting:
		more = "stands in line"
	case c.What == courier.StateHeld && c.CourierID != 0:
		more = "taken from " + who(c)
	case c.What == courier.StateCompleted && c.CourierID != 0:
		more = "by " + who(c)
	case c.What == courier.StateCancelled && c.CourierID != 0:
		more = "taken off " + who(c)
	case c.What == courier.StateCompleted || c.What == courier.StateCancelled:
		more = "had no courier"
	default:
		return ""
	}
	return feedLine(c.At, string(c.What), string(c.OrderID), more)
}

// who names the courier of a change.
func who(c livefeed.Change) string {
	transport := strings.ReplaceAll(string(c.Transport), "_", " ")
	return fmt.Sprintf("%s (courier %d, %s)", clip(c.CourierName), c.CourierID, transport)
}

// letterLine says where a dead letter came from and how to see it.
func letterLine(l postgres.DeadLetter) string {
	return feedLine(l.CreatedAt, "dead", fmt.Sprintf("letter at partition %d, offset %d", l.Partition, l.Offset),
		fmt.Sprintf("%s; psql: table dead_letters", l.Reason))
}

const nameColumns = 12

// clip makes a name fit the line, and keeps the terminal's own codes out of it.
func clip(name string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name))
	if len(runes) <= nameColumns {
		return string(runes)
	}
	return string(runes[:nameColumns-1]) + "…"
}
