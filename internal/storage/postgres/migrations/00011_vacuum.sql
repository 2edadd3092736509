-- +goose Up

-- An order, its delivery and its courier are each updated a few times and then rest.
-- What those updates leave lies at the head of the indexes that everything begins
-- with: the line, the free couriers, the looks that are due. By default it stays
-- there until a fifth of the table is dead, and even then a vacuum that finds dead
-- rows in less than 2 % of the pages leaves the indexes as they are. The settled
-- orders and deliveries of a year would decide how long the head becomes.
SET lock_timeout = '5s';
ALTER TABLE orders         SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, vacuum_index_cleanup = on);
ALTER TABLE courier_orders SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, vacuum_index_cleanup = on);
ALTER TABLE couriers       SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, vacuum_index_cleanup = on);
RESET lock_timeout;

-- +goose Down
ALTER TABLE orders         RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, vacuum_index_cleanup);
ALTER TABLE courier_orders RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, vacuum_index_cleanup);
ALTER TABLE couriers       RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, vacuum_index_cleanup);
