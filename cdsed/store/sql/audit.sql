-- Each rule selects at most :most violations, and none in a correct state.

-- name: transitions
SELECT origin, target FROM transition

-- name: broken_history
SELECT product.safename, step.origin, step.target, step.before
FROM (SELECT product, origin, target, lag(target) OVER (PARTITION BY product ORDER BY id) AS before FROM event) AS step
JOIN product ON product.id = step.product
WHERE (step.origin IS NOT step.before
       -- Only the latest 32 steps of a history are kept.
       AND NOT (step.before IS NULL AND (SELECT count(*) FROM event WHERE event.product = step.product) >= 32))
   -- A state that was rebuilt enters products in the state of their reports: finished.
   OR (step.origin IS NULL AND step.target IN ('resolving', 'ready', 'downloading', 'verifying', 'retry_wait'))
   OR (step.origin IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM transition WHERE origin = step.origin AND target = step.target))
LIMIT :most

-- name: history_ends_elsewhere
SELECT safename, state, recorded FROM (
    SELECT safename, state,
           (SELECT target FROM event WHERE event.product = product.id ORDER BY id DESC LIMIT 1) AS recorded
    FROM product)
WHERE state IS NOT recorded LIMIT :most

-- name: fence_ahead
SELECT name, fence, (SELECT value FROM fence) AS value FROM (
    SELECT 'session ' || account || '.' || slot AS name, fence FROM session
    UNION ALL
    SELECT safename, fence FROM product WHERE process IS NOT NULL
    UNION ALL
    SELECT 'piece ' || id, fence FROM piece WHERE fence IS NOT NULL)
WHERE fence > (SELECT value FROM fence) LIMIT :most

-- name: fence_shared
SELECT fence, group_concat(account || '.' || slot, ', ') AS sessions
FROM session WHERE fence IS NOT NULL GROUP BY fence HAVING count(*) > 1 LIMIT :most

-- name: piece_unowned
SELECT product.safename, piece.id AS piece, piece.fence
FROM piece JOIN product ON product.id = piece.product
WHERE piece.fence IS NOT NULL AND piece.fence NOT IN (SELECT fence FROM session WHERE fence IS NOT NULL)
LIMIT :most

-- name: claim_unowned
SELECT name, process FROM (
    SELECT safename AS name, process FROM product WHERE process IS NOT NULL
    UNION ALL
    SELECT 'session ' || account || '.' || slot, process FROM session WHERE process IS NOT NULL
    UNION ALL
    SELECT 'object ' || id, process FROM object WHERE process IS NOT NULL)
WHERE process NOT IN (SELECT id FROM process) LIMIT :most

-- name: object_cut_wrongly
SELECT product.safename, object.path, object.size_bytes, coalesce(sum(piece.size_bytes), 0) AS pieces_bytes
FROM object JOIN product ON product.id = object.product LEFT JOIN piece ON piece.object = object.id
GROUP BY object.id HAVING object.size_bytes <> coalesce(sum(piece.size_bytes), 0) LIMIT :most

-- name: miscounted
WITH counted (listing, state, products, size_bytes) AS (
    SELECT 0, state, count(*), coalesce(sum(size_bytes), 0) FROM product GROUP BY state
    UNION ALL
    SELECT want.listing, state, count(*), coalesce(sum(size_bytes), 0)
    FROM want CROSS JOIN product ON product.id = want.product GROUP BY want.listing, state)
SELECT listing, state, tally.products AS recorded, counted.products AS counted,
       tally.size_bytes AS recorded_bytes, counted.size_bytes AS counted_bytes
FROM counted FULL JOIN tally USING (listing, state)
WHERE coalesce(tally.products, 0) <> coalesce(counted.products, 0)
   OR coalesce(tally.size_bytes, 0) <> coalesce(counted.size_bytes, 0)
LIMIT :most

-- name: backlog_miscounted
WITH counted (listing, kind, products, sized, size_bytes) AS (
    SELECT listing, kind, count(*), count(size_bytes), coalesce(sum(size_bytes), 0)
    FROM (SELECT 0 AS listing, id AS product FROM product UNION ALL SELECT listing, product FROM want)
    CROSS JOIN product ON product.id = product
    WHERE state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait')
    GROUP BY listing, kind)
SELECT listing, kind, backlog.products AS recorded, coalesce(counted.products, 0) AS counted,
       backlog.size_bytes AS recorded_bytes, coalesce(counted.size_bytes, 0) AS counted_bytes
FROM counted FULL JOIN backlog USING (listing, kind) LEFT JOIN listing ON listing.id = backlog.listing
WHERE coalesce(listing.state, 'open') IN ('taking', 'open')  -- a listing that was reported may have lost its products
  AND (coalesce(backlog.products, 0) <> coalesce(counted.products, 0)
       OR coalesce(backlog.sized, 0) <> coalesce(counted.sized, 0)
       OR coalesce(backlog.size_bytes, 0) <> coalesce(counted.size_bytes, 0))
LIMIT :most

-- After the receipt is written, only the receipt has the remarks. Of a reported listing that was dropped again only
-- the sums are left.
-- name: lines_and_verdicts
SELECT name, items_taken, verdicts, named, wants, remarked, remarks FROM (
    SELECT name, state, items_taken, accepted + duplicate + known + already_present + rejected + ignored AS verdicts,
           accepted + known + already_present AS named, (SELECT count(*) FROM want WHERE listing = listing.id) AS wants,
           CASE state WHEN 'taking' THEN duplicate + known + already_present + rejected ELSE 0 END AS remarked,
           (SELECT count(*) FROM remark WHERE listing = listing.id AND verdict <> 'accepted') AS remarks
    FROM listing WHERE state <> 'refused')
WHERE items_taken <> verdicts
   OR remarks <> remarked
   OR (wants <> named AND NOT (state = 'reported' AND wants = 0))
LIMIT :most

-- name: processes
SELECT id, name, pid, lock FROM process ORDER BY id

-- name: held_sessions
SELECT account, slot, fence FROM session WHERE process IS NOT NULL ORDER BY account, slot

-- name: stopped_in_order
SELECT stopped_at IS NOT NULL FROM daemon

-- name: listings
SELECT id, name, state, path, items_taken, accepted, duplicate, known, already_present, rejected, ignored
FROM listing WHERE state IN ('open', 'reported') ORDER BY id

-- name: outputdirs
SELECT DISTINCT outputdir FROM product WHERE outputdir IS NOT NULL

-- name: on_disk
SELECT id AS position, safename, state, path, partial FROM product
WHERE id > :after AND state IN ('done', 'already_present') ORDER BY id LIMIT 10000

-- name: state_of
SELECT state FROM product WHERE safename = :safename AND changed_at <= :by

-- name: newest
SELECT max(id) FROM product

-- name: changes_since
SELECT (SELECT count(*) FROM event WHERE at > :at) AS changes,
       (SELECT count(*) FROM listing WHERE taken_at > :at) AS listings

-- name: held_wrongly
SELECT safename, held FROM product
WHERE (held = 1 OR id IN (SELECT product FROM want WHERE listing IN
                          (SELECT CAST(name AS INTEGER) FROM pause WHERE kind = 'listing')))
  AND held <> coalesce((SELECT min(paused) FROM open_want WHERE open_want.product = product.id), 0)
LIMIT :most

-- name: controls_left
SELECT safename, state FROM product
WHERE state IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled') AND replaces IS NOT NULL
LIMIT :most
