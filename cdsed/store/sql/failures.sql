-- name: latest
SELECT safename, state, code, cause, attempts, changed_at AS ended_at FROM product INDEXED BY product_with_error
WHERE code IS NOT NULL AND state IN ('unavailable', 'corrupt', 'failed')
ORDER BY changed_at DESC LIMIT :most

-- name: latest_of_listing
SELECT product.safename, product.state, product.code, product.cause, product.attempts, product.changed_at AS ended_at
FROM want JOIN product ON product.id = want.product
WHERE want.listing = :listing AND product.state IN ('unavailable', 'corrupt', 'failed')
ORDER BY product.changed_at DESC LIMIT :most

-- name: total
SELECT coalesce(sum(products), 0) FROM tally WHERE listing = :listing AND state IN ('unavailable', 'corrupt', 'failed')
