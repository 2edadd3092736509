package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// seedCouriers gives an empty fleet ten couriers, by the plain INSERT that is
// promised to be enough.
func seedCouriers(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("register the demo couriers: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `
		INSERT INTO couriers (name, phone, status, transport_type)
		SELECT name, '+7000000000' || n - 1, 'available', (ARRAY['on_foot', 'scooter', 'car'])[1 + n % 3]
		FROM unnest(ARRAY['Anna', 'Boris', 'Vera', 'Gleb', 'Darya', 'Egor', 'Zhanna', 'Zakhar', 'Inna', 'Kirill'])
		     WITH ORDINALITY AS demo(name, n)
		WHERE NOT EXISTS (SELECT FROM couriers)`)
	if err != nil {
		return fmt.Errorf("register the demo couriers: %w", err)
	}
	return nil
}
