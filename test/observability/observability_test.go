package observability

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQueriesOfAnExpression(t *testing.T) {
	for expression, want := range map[string][]Query{
		`up{job="x"} == 0`:                              nil,
		`max(courier_couriers) > 1`:                     {{"w", "courier_couriers", nil}},
		`go_goroutines{job="service-courier"}`:          {{"w", "go_goroutines", []string{}}},
		`sum by (le, instance) (rate(courier_a_b[5m]))`: {{"w", "courier_a_b", []string{"le"}}},
		"courier_a{code=~\"5..\", route!~\"/(a|b)\"}\n / on (x) courier_b": {
			{"w", "courier_a", []string{"x", "code", "route"}}, {"w", "courier_b", []string{"x"}},
		},
	} {
		if diff := cmp.Diff(want, queries("w", expression)); diff != "" {
			t.Errorf("%s: %s", expression, diff)
		}
	}
}
