package e2e

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/storage/postgres"
)

// couriers adds n couriers with a plain INSERT.
func (s *stack) couriers(n int) {
	s.Helper()
	_, err := s.pool.Exec(s.Context(), `
		insert into couriers(name, phone, status, transport_type)
		select 'Courier', '+7' || i || clock_timestamp(), 'available', 'scooter' from generate_series(1, $1::int) i`, n)
	if err != nil {
		s.Fatal(err)
	}
}

// count returns the number of a query.
func (s *stack) count(query string, args ...any) (n int64) {
	s.Helper()
	if err := s.pool.QueryRow(s.Context(), query, args...).Scan(&n); err != nil {
		s.Fatalf("%s: %v", query, err)
	}
	return n
}

// column returns the texts of a query.
func (s *stack) column(query string) []string {
	s.Helper()
	rows, err := s.pool.Query(s.Context(), query)
	if err != nil {
		s.Fatalf("%s: %v", query, err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.Fatalf("%s: %v", query, err)
	}
	return texts
}

// states returns the state of every order and of its delivery.
func (s *stack) states() map[string]string {
	s.Helper()
	all := make(map[string]string)
	for _, text := range s.column(`
		select order_id || ' ' || o.state || case
			when d.order_id is null then ''
			when d.completed_at is null then ', assigned'
			else ', delivered' end
		from orders o full join courier_orders d using (order_id)`) {
		id, state, _ := strings.Cut(text, " ")
		all[id] = state
	}
	return all
}

// waitEnded waits until every order has ended in service-order and in the database; with
// undelivered, a completed order needs no delivery. All couriers must then be free.
func (s *stack) waitEnded(ids []string, undelivered bool) {
	s.Helper()
	truth := make(map[string]string) // of ended orders
	s.eventually("every order ends as in service-order", func() error {
		got, expected := s.states(), make(map[string]string)
		for _, id := range ids {
			if truth[id] == "" {
				truth[id] = s.ended(id)
			}
			expected[id] = truth[id]
			if undelivered && got[id] == "completed" && truth[id] == "completed, delivered" {
				expected[id] = got[id]
			}
		}
		return want(expected, got)
	})
	if n := s.count("select count(*) from couriers where status <> 'available'"); n != 0 {
		s.Errorf("%d couriers are not free although every order has ended", n)
	}
	s.checkInvariants()
}

// ended returns the expected state of an ended order, "" of an active one.
func (s *stack) ended(id string) string {
	s.Helper()
	return map[string]string{"deleted": "cancelled", "completed": "completed, delivered"}[s.truth(id)]
}

// checkInvariants fails the test if an invariant is violated or a transition is in the
// journal twice.
func (s *stack) checkInvariants() {
	s.Helper()
	violations, err := postgres.CheckInvariants(s.Context(), s.pool)
	if err != nil {
		s.Fatal(err)
	}
	for _, v := range violations {
		s.Errorf("%s: %s", v.Invariant, v.Subject)
	}
	for _, twice := range s.column(`
		select order_id || ' ' || state || ' ' || count(*) from journal group by order_id, state having count(*) > 1`) {
		s.Errorf("transition more than once: %s", twice)
	}
}
