-- +goose NO TRANSACTION

-- +goose Up

-- Finds the open deliveries behind their deadline. Built beside the writers, for
-- the table may be large and the service at work.
-- An index that was left half built: with IF NOT EXISTS it would stay so.
DROP INDEX CONCURRENTLY IF EXISTS courier_orders_deadline;
CREATE INDEX CONCURRENTLY courier_orders_deadline ON courier_orders (deadline) WHERE completed_at IS NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS courier_orders_deadline;
