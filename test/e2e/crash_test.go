package e2e

import "fmt"

// killUnderLoad: the service is killed in the middle of its work. Whatever was
// in hand is read again by the next run, and nothing is done twice. Marking
// records before they are saved loses hundreds of orders here, which the sweep of
// the next run would hide.
func killUnderLoad(s *stack) {
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.2", "--publish-delay", "200ms", "--seed", "2")
	first := s.serve()
	s.eventually("the service is ready", s.ready)
	orders, rush := s.stroll(200, 60, 0.3), s.rush(1500)
	s.eventually("the service is at work", func() error {
		if n := s.count("select count(*) from orders"); n < 300 {
			return fmt.Errorf("%d orders", n)
		}
		return nil
	})
	if err := first.Kill(); err != nil {
		s.Fatal(err)
	}
	client := s.client()
	s.nothingLost(client, s.committed(client))
	s.serve()
	// Orders may complete while nobody watches: those have no delivery.
	s.ends(append(orders.wait(), rush.wait()...), true)
}
