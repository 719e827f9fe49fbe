-- What the web page and the metrics show besides the status. Every query reads few rows, also of a million products.

-- name: failures
SELECT id, safename, state, code, cause, account_group, attempts, changed_at, due_s
FROM product INDEXED BY product_with_error
WHERE code IS NOT NULL AND changed_at <= :before_at AND (changed_at < :before_at OR id < :before_id)
  AND state IN ('unavailable', 'corrupt', 'failed', 'cancelled', 'retry_wait')
  AND (:state = '' OR state = :state) AND (:code = '' OR code = :code)
ORDER BY changed_at DESC, id DESC LIMIT :most

-- name: traffic
SELECT account, hour, sum(bytes) AS bytes, sum(requests) AS requests FROM traffic_hour
WHERE hour > :after AND hour <= :until GROUP BY account, hour ORDER BY account, hour

-- name: traffic_since
SELECT account, sum(bytes) AS bytes, sum(requests) AS requests FROM traffic_hour
WHERE hour >= :first GROUP BY account ORDER BY account

-- name: products_of
SELECT product.safename, product.state FROM want JOIN product ON product.id = want.product
WHERE want.listing = :listing ORDER BY want.product LIMIT :most

-- name: count_of
SELECT coalesce(sum(products), 0) AS products FROM tally WHERE listing = :listing

-- name: has_listing
SELECT 1 FROM listing WHERE id = :listing
