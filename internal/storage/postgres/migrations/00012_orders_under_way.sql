-- +goose NO TRANSACTION

-- +goose Up

-- orders_open answered to every question about waiting, missing or held orders, which
-- have indexes of their own. Where nothing was under way when the planner saw the
-- table last, it takes all of these for equally short, and match was seen to read
-- every open order for each batch of the line. This index promises a little more, so
-- that only a statement that asks for all open orders can use it. (The version before
-- then sweeps by the primary key, past the orders that have ended.)
DROP INDEX CONCURRENTLY IF EXISTS orders_under_way; -- one that was left half built
CREATE INDEX CONCURRENTLY orders_under_way ON orders (order_id)
    WHERE state IN ('waiting', 'assigned', 'held') AND order_id > '';
DROP INDEX CONCURRENTLY IF EXISTS orders_open;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS orders_open;
CREATE INDEX CONCURRENTLY orders_open ON orders (order_id) WHERE state IN ('waiting', 'assigned', 'held');
DROP INDEX CONCURRENTLY IF EXISTS orders_under_way;
