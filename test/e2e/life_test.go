package e2e

// lifeOfOrders: whatever becomes of orders, with events doubled, late and out
// of order, the database ends up saying what service-order says. It does not when
// a 404 forgets that an event said deleted.
func lifeOfOrders(s *stack) {
	s.couriers(300)
	s.serviceOrder("--time-scale", "250", "--duplicate-share", "0.3", "--publish-delay", "300ms", "--seed", "1")
	s.serve()
	s.eventually("the service is ready", s.ready)
	ids := s.stroll(250, 60, 0.3).wait()
	s.ends(ids, false)
	if n := s.count("select sum(deliveries) from couriers"); n == 0 || n == int64(len(ids)) {
		s.Errorf("%d deliveries of %d orders: the test wants some orders completed and some cancelled", n, len(ids))
	}
}

// lineDrainsInOrder: with more orders than couriers, whoever came first is
// served first, when a courier gets free and when new ones are hired.
func lineDrainsInOrder(s *stack) {
	const couriers, orders = 2, 10
	s.couriers(couriers)
	s.serviceOrder("--step", "created=24h")
	s.serve()
	s.eventually("the service is ready", s.ready)
	ids := make([]string, orders)
	for i := range ids {
		ids[i] = s.mustPost()
		// One after the other: events of different partitions have no order.
		s.eventually("the order stands in line", func() error {
			return want(int64(i+1), s.count("select count(*) from orders where place is not null"))
		})
	}
	onTheirWay := func(from, to int) {
		s.Helper()
		s.eventually("the first in line are on their way", func() error {
			return want(ids[from:to], s.column("select order_id from courier_orders order by (select place from orders o where o.order_id = courier_orders.order_id)"))
		})
	}
	onTheirWay(0, couriers)
	for gone := range orders / 2 {
		if err := s.cancel(s.Context(), ids[gone]); err != nil {
			s.Fatal(err)
		}
		onTheirWay(gone+1, gone+1+couriers)
	}
	s.couriers(1)
	onTheirWay(orders/2, orders/2+couriers+1)
	s.couriers(orders)
	onTheirWay(orders/2, orders)
	s.sound()
}
