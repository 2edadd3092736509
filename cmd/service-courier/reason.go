package main

import (
	"errors"
	"slices"
	"strings"

	"service-courier/internal/usecase/deadletters"
)

// reason is a flag's value: why letters are dead. A mistyped one would find none,
// which looks like success.
type reason struct{ to *string }

func (r reason) Type() string { return "REASON" }

func (r reason) String() string {
	if r.to == nil {
		return ""
	}
	return *r.to
}

func (r reason) Set(text string) error {
	if !slices.Contains(deadletters.Reasons, text) {
		return errors.New("want " + reasons())
	}
	*r.to = text
	return nil
}

// reasons are all there are, in words.
func reasons() string {
	last := len(deadletters.Reasons) - 1
	return strings.Join(deadletters.Reasons[:last], ", ") + " or " + deadletters.Reasons[last]
}
