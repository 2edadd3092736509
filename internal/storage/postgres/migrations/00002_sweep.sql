-- +goose Up

-- Until when every order that service-order lists has been looked at. One row.
CREATE TABLE sweep (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    swept_until timestamptz NOT NULL
);

-- The sweep pages through open orders by id.
CREATE INDEX orders_open ON orders (order_id) WHERE state IN ('waiting', 'assigned', 'held');

-- +goose Down
DROP INDEX orders_open;
DROP TABLE sweep;
