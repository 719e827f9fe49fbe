-- name: mark_listings
UPDATE listing SET cancelled_at = :at
WHERE id IN (SELECT value FROM json_each(:listings)) AND state IN ('taking', 'open') AND cancelled_at IS NULL
RETURNING id

-- name: is_marked
SELECT cancelled_at IS NOT NULL FROM listing WHERE id = :listing

-- Products that no other open listing wants; call it when the listings themselves are marked.
-- name: of_listings
SELECT DISTINCT want.product AS id, EXISTS (SELECT 1 FROM open_want WHERE open_want.product = want.product) AS kept
FROM want JOIN product ON product.id = want.product
WHERE want.listing IN (SELECT value FROM json_each(:listings))
  AND product.state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')

-- name: finished_of
SELECT count(*) FROM product
WHERE id IN (SELECT value FROM json_each(:ids))
  AND state IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')

-- name: finished_of_listings
SELECT count(DISTINCT want.product) FROM want JOIN product ON product.id = want.product
WHERE want.listing IN (SELECT value FROM json_each(:listings))
  AND product.state IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')

-- name: arrived_bytes
SELECT coalesce(sum(max(piece.done_bytes, piece.written_bytes)), 0)
FROM piece JOIN product ON product.id = piece.product
WHERE piece.product IN (SELECT value FROM json_each(:ids))

-- A product whose bytes have all arrived may be published at any time, or is already: the daemon decides, see `settle`.
-- name: mark_arrived
UPDATE product SET cancels = 1
WHERE id IN (SELECT value FROM json_each(:ids)) AND cancels = 0
  AND (state = 'verifying'
       OR (state IN ('ready', 'downloading', 'retry_wait')
           AND EXISTS (SELECT 1 FROM object WHERE object.product = product.id)
           AND NOT EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < size_bytes)))
RETURNING safename

-- name: cancel
UPDATE product SET state = 'cancelled', cause = :cause, code = NULL, due_s = NULL, path = NULL, planned = 0,
    process = NULL, fence = NULL, changed_at = :at
WHERE id IN (SELECT value FROM json_each(:ids)) AND cancels = 0
  AND state IN ('queued', 'ready', 'downloading', 'retry_wait')
RETURNING safename

-- name: forget_objects
DELETE FROM object WHERE product IN (SELECT value FROM json_each(:ids))
    AND product IN (SELECT id FROM product WHERE state = 'cancelled')

-- name: forget_denials
DELETE FROM access_denial WHERE product IN (SELECT value FROM json_each(:ids))
    AND product IN (SELECT id FROM product WHERE state = 'cancelled')

-- Products that were to replace a copy end with that copy: by way of queued, as the table of transitions has it.
-- name: requeue_replacing
UPDATE product SET state = 'queued', changed_at = :at
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'cancelled' AND replaces IS NOT NULL

-- name: back_to_former
UPDATE product SET state = 'already_present', path = replaces, replaces = NULL, replaces_inode = NULL,
    cause = 'the former copy stays: its replacement was cancelled', changed_at = :at
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'queued' AND replaces IS NOT NULL

-- name: undecided
SELECT id FROM product WHERE cancels = 1 AND process IS NULL
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || place AND until_s > :now_s)
ORDER BY id LIMIT 1

-- name: is_cancelled
SELECT cancels FROM product WHERE id = :id

-- name: decide
UPDATE product SET cancels = 0
WHERE id = :id AND cancels = 1 AND process IS NULL AND state = :state AND changed_at = :changed_at RETURNING id

-- name: changed_at
SELECT changed_at FROM product WHERE id = :id

-- name: undo
UPDATE product SET cancels = 0 WHERE id = :id AND cancels = 1 RETURNING id

-- name: staged
SELECT id FROM product WHERE state = 'cancelled' AND staging IS NOT NULL AND id > :after
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || place AND until_s > :now_s)
ORDER BY id LIMIT 1

-- name: forget_staging
UPDATE product SET staging = NULL, destination = NULL WHERE id = :id AND state = 'cancelled'
