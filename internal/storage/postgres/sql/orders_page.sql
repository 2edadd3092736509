-- A page of a list of orders. order_view.go fills in the braces, so that each list has its
-- index and its order.
SELECT {columns}, ({key})::text AS page_key
FROM {from}
WHERE {where}
  AND ({key}, o.order_id) {after} ($1::{type}, $2)
ORDER BY {order}
LIMIT $3
