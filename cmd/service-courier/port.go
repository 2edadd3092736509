package main

import (
	"errors"
	"strconv"
)

// port is a flag's value: a port that was asked for. It is 0 when none was.
type port struct{ to *int }

func (p port) Type() string { return "PORT" }

func (p port) String() string {
	if p.to == nil || *p.to == 0 {
		return ""
	}
	return strconv.Itoa(*p.to)
}

func (p port) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 {
		return errors.New("want a number from 1 to 65535")
	}
	*p.to = n
	return nil
}
