package orderevent

import "service-courier/internal/courier"

// subject is one order of a batch, with everything that was hinted of it.
type subject struct {
	orderID courier.OrderID
	said    courier.Class // the highest class an event claimed
	token   int64         // of the claimed look; 0 when none was claimed
	fresh   bool          // an event hinted, not only a look or a sweep of our own
	asked   bool          // for a command, whose giver is told the answer: nothing is scheduled for it
	source  string        // of the latest event, else of the latest hint
}

// coalesce makes one subject an order, in order of arrival. It is part of
// correctness, not only of speed: an order twice in one batch could not be
// saved in one statement. Only what arrived before the GET may be coalesced,
// for a later event may tell of a change that the GET did not see.
func coalesce(hints []Hint) []subject {
	subjects := make([]subject, 0, len(hints))
	index := make(map[courier.OrderID]int, len(hints))
	for _, h := range hints {
		i, known := index[h.OrderID]
		if !known {
			i = len(subjects)
			index[h.OrderID] = i
			subjects = append(subjects, subject{orderID: h.OrderID})
		}
		s := &subjects[i]
		s.said = max(s.said, h.Said)
		s.token = max(s.token, h.Token)
		if h.event() || !s.fresh {
			s.source = h.Source
		}
		s.fresh = s.fresh || h.event()
	}
	return subjects
}
