-- +goose NO TRANSACTION

-- +goose Up

-- Every statement that asks for open deliveries could use the index of deadlines,
-- also where it looks for one courier's, and under a plan made when the table was
-- empty it did. Now only a statement that speaks of deadlines can: this index
-- promises a little more than "not completed". The version before finds late
-- deliveries without it, by reading the open ones.
DROP INDEX CONCURRENTLY IF EXISTS courier_orders_late; -- one that was left half built
CREATE INDEX CONCURRENTLY courier_orders_late ON courier_orders (deadline)
    WHERE completed_at IS NULL AND deadline > '-infinity';
DROP INDEX CONCURRENTLY IF EXISTS courier_orders_deadline;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS courier_orders_deadline;
CREATE INDEX CONCURRENTLY courier_orders_deadline ON courier_orders (deadline) WHERE completed_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS courier_orders_late;
