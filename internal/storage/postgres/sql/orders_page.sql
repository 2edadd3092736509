-- A page of a list of orders. What stands in braces is filled in for each list
-- (orders_read.go), so that each has its index and its order.
SELECT {columns}, ({key})::text
FROM {from}
WHERE {where}
  AND ({key}, o.order_id) {beyond} ($1::{type}, $2)
ORDER BY {order}
LIMIT $3
