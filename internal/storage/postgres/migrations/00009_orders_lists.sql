-- +goose NO TRANSACTION

-- +goose Up

-- What the lists of orders are read by. Every update of a record changes one of
-- these columns' fellows already, so none loses its place in its page by them.
SET lock_timeout = '5s';
ALTER TABLE journal ADD COLUMN IF NOT EXISTS deadline timestamptz; -- of an assignment; the version before leaves it NULL
RESET lock_timeout;
-- Indexes that were left half built: with IF NOT EXISTS they would stay so.
DROP INDEX CONCURRENTLY IF EXISTS orders_missing;
DROP INDEX CONCURRENTLY IF EXISTS orders_held;
DROP INDEX CONCURRENTLY IF EXISTS orders_completed;
DROP INDEX CONCURRENTLY IF EXISTS orders_cancelled;
DROP INDEX CONCURRENTLY IF EXISTS orders_due;
CREATE INDEX CONCURRENTLY orders_missing   ON orders (missing_since, order_id) WHERE missing_since IS NOT NULL AND state IN ('waiting', 'assigned', 'held');
CREATE INDEX CONCURRENTLY orders_held      ON orders (updated_at, order_id) WHERE state = 'held';
CREATE INDEX CONCURRENTLY orders_completed ON orders (updated_at, order_id) WHERE state = 'completed';
CREATE INDEX CONCURRENTLY orders_cancelled ON orders (updated_at, order_id) WHERE state = 'cancelled';
-- In place of orders_looks: a page ends between two orders that are due together.
CREATE INDEX CONCURRENTLY orders_due       ON orders (look_due_at, order_id) WHERE look_due_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS orders_looks;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS orders_looks;
CREATE INDEX CONCURRENTLY orders_looks ON orders (look_due_at) WHERE look_due_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS orders_due;
DROP INDEX CONCURRENTLY IF EXISTS orders_cancelled;
DROP INDEX CONCURRENTLY IF EXISTS orders_completed;
DROP INDEX CONCURRENTLY IF EXISTS orders_held;
DROP INDEX CONCURRENTLY IF EXISTS orders_missing;
ALTER TABLE journal DROP COLUMN deadline;
