package orderevent

import (
	"testing"

	"service-courier/internal/courier"
)

func TestMergeHints(t *testing.T) {
	got := mergeHints([]Hint{
		{OrderID: "b", EventClass: courier.ClassActive, Source: "0@1"},
		{OrderID: "a", EventClass: courier.ClassCancelled, Source: "1@1"},
		{OrderID: "b", Token: 5, Source: "recheck"},
		{OrderID: "a", EventClass: courier.ClassCompleted, Source: "1@2"},
		{OrderID: "c", Token: 6, Source: "recheck"},
	})
	want := []mergedHint{
		{orderID: "b", hints: 2, eventClass: courier.ClassActive, token: 5, event: true, source: "0@1"},
		{orderID: "a", hints: 2, eventClass: courier.ClassCancelled, event: true, source: "1@2"},
		{orderID: "c", hints: 1, token: 6, source: "recheck"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d hints, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("hint %d = %+v, want %+v", i, got[i], want[i])
		}
	}
}
