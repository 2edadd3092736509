-- +goose NO TRANSACTION

-- +goose Up

-- An order's timeline is found by its id and by nothing else, so a hash serves it: with
-- the ids themselves the index was larger than any other, and each of an order's
-- entries had to find its place among all of them.
DROP INDEX CONCURRENTLY IF EXISTS journal_of_order; -- one that was left half built
CREATE INDEX CONCURRENTLY journal_of_order ON journal USING hash (order_id);
DROP INDEX CONCURRENTLY IF EXISTS journal_by_order;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS journal_by_order;
CREATE INDEX CONCURRENTLY journal_by_order ON journal (order_id, id);
DROP INDEX CONCURRENTLY IF EXISTS journal_of_order;
