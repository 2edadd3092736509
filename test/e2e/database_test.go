package e2e

import (
	"strings"

	"github.com/jackc/pgx/v5"

	"service-courier/internal/storage/postgres"
)

// couriers adds n couriers as the assignment's users do: with a plain INSERT.
func (s *stack) couriers(n int) {
	s.Helper()
	_, err := s.pool.Exec(s.Context(), `
		insert into couriers(name, phone, status, transport_type)
		select 'Courier', '+7' || i || clock_timestamp(), 'available', 'scooter' from generate_series(1, $1::int) i`, n)
	if err != nil {
		s.Fatal(err)
	}
}

// count is the one number that a query answers.
func (s *stack) count(query string, args ...any) (n int64) {
	s.Helper()
	if err := s.pool.QueryRow(s.Context(), query, args...).Scan(&n); err != nil {
		s.Fatalf("%s: %v", query, err)
	}
	return n
}

// column is the texts that a query answers.
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

// states says of every order what the database has of it: the record and the
// delivery.
func (s *stack) states() map[string]string {
	s.Helper()
	all := make(map[string]string)
	for _, text := range s.column(`
		select order_id || ' ' || o.state || case
			when d.order_id is null then ''
			when d.completed_at is null then ', on its way'
			else ', delivered' end
		from orders o full join courier_orders d using (order_id)`) {
		id, state, _ := strings.Cut(text, " ")
		all[id] = state
	}
	return all
}

// ends waits until the truth of every order has ended and the database says the
// same of it; with undelivered, a completed order needs no delivery. Then
// everything must be at rest, with nothing broken on the way.
func (s *stack) ends(ids []string, undelivered bool) {
	s.Helper()
	truth := make(map[string]string) // of the orders that have ended
	s.eventually("every order ends as service-order says", func() error {
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
		s.Errorf("%d couriers are not free though every order has ended", n)
	}
	s.sound()
}

// ended is what the database has to say of an order that has ended, "" of one
// that has not.
func (s *stack) ended(id string) string {
	s.Helper()
	return map[string]string{"deleted": "cancelled", "completed": "completed, delivered"}[s.truth(id)]
}

// sound fails the test when the database breaks a promise, or did something
// twice.
func (s *stack) sound() {
	s.Helper()
	violations, err := postgres.CheckInvariants(s.Context(), s.pool)
	if err != nil {
		s.Fatal(err)
	}
	for _, v := range violations {
		s.Errorf("%s: %s", v.Promise, v.Who)
	}
	for _, twice := range s.column(`
		select order_id || ' ' || what || ' ' || count(*) from journal group by order_id, what having count(*) > 1`) {
		s.Errorf("done more than once: %s", twice)
	}
}
