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

-- The open listing with unfinished products that was taken first. All its products wait since then.
-- name: oldest_listing
SELECT id, taken_at FROM listing
WHERE state IN ('taking', 'open') AND EXISTS (SELECT 1 FROM backlog WHERE backlog.listing = listing.id AND products > 0)
ORDER BY taken_at, id LIMIT 1

-- One of its unfinished products, without an index of them all, which would cost a sixth of the time to take a listing.
-- Products begin in their order. So it is one of the first, or one that is in work or tried again later, or it is found
-- soon from the end.
-- name: waiting_in_listing
SELECT coalesce(
    (SELECT safename FROM (SELECT product FROM want WHERE listing = :listing ORDER BY product LIMIT :most) AS first
     JOIN product ON product.id = first.product
     WHERE state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait')
     ORDER BY product.id LIMIT 1),
    (SELECT safename FROM (SELECT id FROM product INDEXED BY product_downloading WHERE state = 'downloading'
                           UNION ALL SELECT id FROM product INDEXED BY product_claimed WHERE process IS NOT NULL
                           UNION ALL SELECT id FROM (SELECT id FROM product WHERE due_s IS NOT NULL
                                                 ORDER BY due_s LIMIT :most)) AS busy
     JOIN product ON product.id = busy.id
     WHERE EXISTS (SELECT 1 FROM want WHERE listing = :listing AND want.product = busy.id)
     ORDER BY busy.id LIMIT 1),
    (SELECT safename FROM want CROSS JOIN product ON product.id = want.product
     WHERE want.listing = :listing
       AND state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait')
     ORDER BY want.product DESC LIMIT 1))

-- Where no open listing wants them: of those that are worked on next, the one that has waited longest.
-- name: waiting_in_no_listing
SELECT safename, changed_at AS at
FROM (SELECT id FROM product INDEXED BY product_downloading WHERE state = 'downloading'
      UNION ALL SELECT id FROM product INDEXED BY product_claimed WHERE process IS NOT NULL
      UNION ALL SELECT id FROM (SELECT id FROM product WHERE state = 'queued' ORDER BY path_refuted, priority DESC, id LIMIT :most)
      UNION ALL SELECT id FROM (SELECT id FROM product WHERE state = 'ready'
                            ORDER BY account_group, held, place, priority DESC, id LIMIT :most)
      UNION ALL SELECT id FROM (SELECT id FROM product WHERE due_s IS NOT NULL ORDER BY due_s LIMIT :most)) AS next
JOIN product USING (id) ORDER BY at, id LIMIT 1
