package e2e

// orderLifecycle: with duplicate, late and reordered events, the database ends in the
// state of service-order. It fails if a 404 clears the cancel hint.
func orderLifecycle(s *stack) {
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.3", "--publish-delay", "300ms", "--seed", "1")
	s.serve()
	s.eventually("the service is ready", s.ready)
	ids := s.steady(250, 60, nil).wait()
	s.waitEnded(ids, false)
	if n := s.count("select sum(deliveries) from couriers"); n == 0 || n == int64(len(ids)) {
		s.Errorf("%d deliveries of %d orders: want some orders completed and some cancelled", n, len(ids))
	}
}

// waitingOrdersAreAssignedInOrder: with more orders than couriers, orders are assigned in
// the order of their arrival, to couriers that become free and to new ones.
func waitingOrdersAreAssignedInOrder(s *stack) {
	const couriers, orders = 2, 10
	s.couriers(couriers)
	s.serviceOrder("--step", "created=24h")
	s.serve()
	s.eventually("the service is ready", s.ready)
	ids := make([]string, orders)
	for i := range ids {
		ids[i] = s.mustPost()
		// One at a time: events of different partitions have no order.
		s.eventually("the order is queued", func() error {
			return want(int64(i+1), s.count("select count(*) from orders where queue_position is not null"))
		})
	}
	assigned := func(from, to int) {
		s.Helper()
		s.eventually("the first orders are assigned", func() error {
			return want(ids[from:to], s.column("select order_id from courier_orders order by (select queue_position from orders o where o.order_id = courier_orders.order_id)"))
		})
	}
	assigned(0, couriers)
	for cancelled := range orders / 2 {
		if err := s.cancel(s.Context(), ids[cancelled]); err != nil {
			s.Fatal(err)
		}
		assigned(cancelled+1, cancelled+1+couriers)
	}
	s.couriers(1)
	assigned(orders/2, orders/2+couriers+1)
	s.couriers(orders)
	assigned(orders/2, orders)
	s.checkInvariants()
}
