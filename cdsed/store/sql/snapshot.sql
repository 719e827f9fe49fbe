-- name: daemon
SELECT pid, started_at, stopped_at, version FROM daemon

-- name: tallies
SELECT state, products, size_bytes FROM tally WHERE listing = 0 AND products > 0

-- name: listings
SELECT id, name, account_group, priority, state, taken_at,
       accepted + duplicate + known + already_present + rejected + ignored AS lines
FROM listing WHERE state IN ('taking', 'open') ORDER BY priority DESC, id LIMIT :most

-- name: latest_listings
SELECT id, name, account_group, priority, state, taken_at,
       accepted + duplicate + known + already_present + rejected + ignored AS lines
FROM listing WHERE state IN ('reported', 'refused') ORDER BY id DESC LIMIT :most

-- name: listing
SELECT id, name, account_group, priority, state, taken_at,
       accepted + duplicate + known + already_present + rejected + ignored AS lines
FROM listing WHERE id = :id

-- name: listing_tallies
SELECT state, products FROM tally WHERE listing = :id AND products > 0

-- name: groups
SELECT DISTINCT account_group FROM account WHERE listed = 1 ORDER BY account_group

-- A breaker whose time is over stays open until its probe has ended. Without work, no probe is sent.
-- name: open_breakers
SELECT name, reason, until_s FROM breaker
WHERE open = 1 AND until_s > :now_s - iif(name = 'suspects', 0, :probe_s) AND name NOT LIKE 'account:%' ORDER BY name

-- name: errors
SELECT code, state, count(*) AS products, max(id) AS example, min(due_s) AS due_s FROM product INDEXED BY product_with_error
WHERE code IS NOT NULL AND changed_at > :since GROUP BY state, code ORDER BY products DESC LIMIT :most

-- name: example
SELECT safename, cause FROM product WHERE id = :id

-- name: movement
SELECT (SELECT coalesce(max(id), 0) FROM event) + (SELECT coalesce(sum(bytes), 0) FROM traffic_hour) AS moved

-- name: events
SELECT at, origin, target, attempts, cause FROM event WHERE product = :product ORDER BY id

-- name: progress
SELECT count(DISTINCT object.id) AS objects, coalesce(sum(piece.done_bytes), 0) AS done_bytes,
       coalesce(sum(piece.size_bytes), 0) AS size_bytes
FROM object LEFT JOIN piece ON piece.object = object.id WHERE object.product = :product

-- name: due_of
SELECT due_s FROM product WHERE id = :product
