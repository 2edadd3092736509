package e2e

import "fmt"

// killUnderLoad: the service is killed in the middle of its work. Whatever was
// in hand is read again by the next run, and nothing is done twice.
func killUnderLoad(s *stack) {
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.2", "--publish-delay", "200ms", "--seed", "2")
	first := s.serve()
	s.eventually("the service is ready", s.ready)
	orders := s.traffic(300, 60, 0.3)
	s.eventually("the service is at work", func() error {
		if n := s.count("select count(*) from courier_orders"); n < 100 {
			return fmt.Errorf("%d deliveries", n)
		}
		return nil
	})
	if err := first.Kill(); err != nil {
		s.Fatal(err)
	}
	s.sound()
	s.serve()
	// Orders may complete while nobody watches: those have no delivery.
	s.ends(orders.wait(), true)
}
