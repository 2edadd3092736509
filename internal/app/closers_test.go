package app

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClosersRunInReverseOnce(t *testing.T) {
	t.Parallel()
	var closers Closers
	var closed []string
	failure := errors.New("hangs")
	for _, c := range []struct {
		name string
		err  error
	}{{"database", nil}, {"server", failure}, {"consumer", nil}} {
		closers.Add(c.name, func(context.Context) error {
			closed = append(closed, c.name)
			return c.err
		})
	}
	for range 2 {
		if err := closers.Close(t.Context()); !errors.Is(err, failure) || err.Error() != "stop server: hangs" {
			t.Errorf("Close: %v", err)
		}
	}
	if diff := cmp.Diff([]string{"consumer", "server", "database"}, closed); diff != "" {
		t.Error(diff)
	}
}
