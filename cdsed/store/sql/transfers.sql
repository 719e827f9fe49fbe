-- A session knows the product that it works on. One that is fetched as a zip has no pieces.
-- name: transfers
SELECT product.id, product.safename, product.account_group, product.planned, product.size_bytes, product.changed_at,
       count(*) AS sessions, json_group_array(DISTINCT session.account) AS accounts,
       sum(session.received_bytes) AS received_bytes,
       (SELECT coalesce(sum(size_bytes - max(done_bytes, written_bytes)), 0) FROM piece
        WHERE piece.product = product.id AND done_bytes < size_bytes) AS open_bytes,
       (SELECT coalesce(sum(bytes), 0) FROM received
        WHERE received.product = product.id AND step BETWEEN :step - :steps AND :step) AS bytes
FROM session JOIN product ON product.id = session.product
WHERE session.process IS NOT NULL AND product.state = 'downloading'
GROUP BY product.id
HAVING product.planned = 1 OR sum(session.received_bytes) > 0
ORDER BY product.changed_at, product.id

-- name: working_since
SELECT min(leased_s) FROM session WHERE process IS NOT NULL AND waits_for IS NULL AND enabled = 1

-- name: stalled_after
SELECT stalled_after_s FROM daemon

-- name: last_published
SELECT safename, at FROM last_published JOIN product ON product.id = product

-- Products get their numbers when they are listed first. One that is asked for again later is an old number with a
-- listing that is new, so several are looked at.
-- name: oldest_waiting
SELECT safename, coalesce(
    (SELECT min(taken_at) FROM want JOIN listing ON listing.id = want.listing
     WHERE want.product = oldest.id AND listing.state IN ('taking', 'open')), changed_at) AS at
FROM (SELECT id, safename, changed_at FROM product
      WHERE state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait')
      ORDER BY id LIMIT :most) AS oldest
ORDER BY at, oldest.id LIMIT 1
