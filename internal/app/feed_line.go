package app

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"service-courier/internal/courier"
	"service-courier/internal/storage/postgres"
)

// A line of the feed: when, what, which order, and more. Ids are whole, since a
// person copies them into a command; with one of the usual 36 letters a line
// stays within 100 columns.
func feedLine(at time.Time, what, whose, more string) string {
	return fmt.Sprintf("%s  %-9s  %-36s  %s", at.Local().Format(time.TimeOnly), what, whose, more)
}

// entryLine words an entry of the journal; "" for one that is not worth a line.
func entryLine(e postgres.Entry) string {
	more := ""
	switch {
	case e.What == courier.StateAssigned:
		more = "to " + who(e)
	case e.What == courier.StateWaiting && e.Now == courier.StateWaiting:
		more = "stands in line"
	case e.What == courier.StateHeld && e.CourierID != 0:
		more = "taken from " + who(e)
	case e.What == courier.StateCompleted && e.CourierID != 0:
		more = "by " + who(e)
	case e.What == courier.StateCancelled && e.CourierID != 0:
		more = "taken off " + who(e)
	case e.What == courier.StateCompleted || e.What == courier.StateCancelled:
		more = "had no courier"
	default:
		return ""
	}
	return feedLine(e.At, string(e.What), string(e.OrderID), more)
}

// who names the courier of an entry.
func who(e postgres.Entry) string {
	transport := strings.ReplaceAll(string(e.Transport), "_", " ")
	return fmt.Sprintf("%s (courier %d, %s)", clip(e.CourierName), e.CourierID, transport)
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
