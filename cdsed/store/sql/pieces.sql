-- Whether a person or a window has paused an account or its group, since when it is drained, and whether any product is
-- a suspect (as `any` in suspects.sql).
-- name: control
SELECT EXISTS (SELECT 1 FROM pause WHERE kind = 'all' OR (kind = 'account' AND name = :account)
               OR (kind = 'group' AND name = :group)) AS paused,
       (SELECT min(since_at) FROM drain WHERE account IN ('', :account)) AS drained_at,
       EXISTS (SELECT 1 FROM product WHERE deaths > 0 AND state IN ('ready', 'downloading', 'verifying')) AS suspects

-- A session joins a planned product before it plans another one, unless the other has a higher priority. While it is
-- drained (:begins is 0) it only joins products that were begun before (:begun_by).
-- name: next_product
SELECT id, planned FROM (
    SELECT * FROM (
        SELECT id, planned, priority FROM product
        WHERE account_group = :group AND state = 'downloading' AND planned = 1 AND held = 0 AND cancels = 0
          AND changed_at <= :begun_by
          AND EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < piece.size_bytes
                      AND piece.fence IS NULL AND piece.due_s <= :now_s)
          AND NOT EXISTS (SELECT 1 FROM access_denial WHERE access_denial.product = product.id AND access_denial.account = :account)
          AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || destination AND until_s > :now_s)
          AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
          AND deaths = 0
        ORDER BY priority DESC, id LIMIT 1)
    UNION ALL
    SELECT * FROM (
        SELECT id, planned, priority FROM product
        WHERE id IN (
            SELECT (SELECT id FROM product
                    WHERE state = 'ready' AND account_group = :group AND held = 0 AND product.place = ready_place.place
                      AND cancels = 0
                      AND NOT EXISTS (SELECT 1 FROM access_denial WHERE access_denial.product = product.id AND access_denial.account = :account)
                      AND deaths = 0
                    ORDER BY priority DESC, id LIMIT 1)
            FROM ready_place
            WHERE account_group = :group AND :begins
              AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || place AND until_s > :now_s))
        ORDER BY priority DESC, id LIMIT 1)
)
ORDER BY priority DESC, planned DESC LIMIT 1

-- Whether more products of a group than it has sessions have arrived and wait for their verification. Those that cannot
-- continue now (their disk is paused, or a worker died over them) do not count.
-- name: begun_enough
SELECT EXISTS (
    SELECT 1 FROM product
    WHERE account_group = :group AND state = 'downloading' AND planned = 1 AND cancels = 0 AND deaths = 0
      AND NOT EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < piece.size_bytes)
      AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || destination AND until_s > :now_s)
      AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
    LIMIT 1 OFFSET (SELECT count(*) FROM account JOIN session ON session.account = account.name
                    WHERE account.account_group = :group AND listed = 1 AND has_keys = 1 AND enabled = 1))

-- The one suspect that the process works on (see suspects.sql), if this session may join it.
-- name: next_of_suspect
SELECT id, planned FROM product
WHERE id = :only AND account_group = :group AND held = 0 AND cancels = 0
  AND (:begins OR (state = 'downloading' AND changed_at <= :begun_by))
  AND (state = 'ready'
       OR state = 'downloading' AND planned = 1
          AND EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < piece.size_bytes
                      AND piece.fence IS NULL AND piece.due_s <= :now_s))
  AND NOT EXISTS (SELECT 1 FROM access_denial WHERE access_denial.product = product.id AND access_denial.account = :account)
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || place AND until_s > :now_s)
  AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = place)

-- name: rests
SELECT state <> 'downloading' OR held = 1 OR cancels = 1
       OR EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
FROM product WHERE id = :product

-- First the object of which most is open behind the piece. So large objects arrive side by side, several processes digest
-- them, and small ones fill the gaps at the end.
-- name: open_pieces
SELECT piece.id, piece.object, piece.first_byte, piece.size_bytes, max(piece.done_bytes, piece.written_bytes) AS done_bytes, piece.transient_failures,
       object.key, object.path, object.etag, object.size_bytes AS object_bytes
FROM piece JOIN object ON object.id = piece.object
WHERE piece.product = :product AND piece.done_bytes < piece.size_bytes AND piece.fence IS NULL
  AND piece.due_s <= :now_s
ORDER BY object.size_bytes - piece.first_byte DESC, piece.object LIMIT :most

-- Claims the requests for it, too, instead of those that were claimed before.
-- name: works_on
UPDATE session SET requests = :requests, waits_for = NULL, product = :product,
    received_bytes = CASE WHEN product IS :product THEN received_bytes ELSE 0 END
WHERE account = :account AND slot = :slot AND fence = :fence

-- name: arrived_whole
UPDATE piece SET done_bytes = size_bytes WHERE object IN (SELECT id FROM object WHERE product = :product)

-- name: hold
UPDATE piece SET fence = :fence WHERE id IN (SELECT value FROM json_each(:ids))

-- name: advance
UPDATE piece SET done_bytes = :done_bytes WHERE id = :id AND fence = :fence RETURNING id

-- name: finish
UPDATE piece SET done_bytes = size_bytes, fence = NULL, transient_failures = 0
WHERE id IN (SELECT value FROM json_each(:ids)) AND fence = :fence
RETURNING id

-- name: set_digests
UPDATE object SET md5 = value ->> 1, sha3_256 = value ->> 2, stamp = value ->> 3
FROM json_each(:digests) WHERE object.id = value ->> 0

-- A product that advances neither kills workers nor meets errors or refusals of the service: reset these counts.
-- name: advanced
UPDATE product SET deaths = 0, transient_failures = 0, refusals = 0, refused_at = NULL, refused_for_s = 0, offered_again = 0
WHERE id = (SELECT product FROM piece WHERE id = :piece) AND (deaths > 0 OR transient_failures > 0 OR refusals > 0)

-- name: let_go
UPDATE piece SET fence = NULL, transient_failures = transient_failures + :transient_failures, due_s = :due_s WHERE id = :id AND fence = :fence
RETURNING transient_failures

-- name: postpone
UPDATE piece SET due_s = max(due_s, :due_s)
WHERE product = :product AND done_bytes < size_bytes AND fence IS NULL
  AND (SELECT count(*) FROM piece AS failed WHERE failed.product = :product AND failed.done_bytes < failed.size_bytes
       AND failed.transient_failures > 0) >= :failed_min

-- name: objects
SELECT id, key, path, size_bytes, etag, md5, sha3_256, stamp, bad_digest FROM object WHERE product = :product ORDER BY path

-- name: have_all_arrived
SELECT EXISTS (SELECT 1 FROM object WHERE product = :product)
       AND NOT EXISTS (SELECT 1 FROM piece WHERE product = :product AND done_bytes < size_bytes)

-- name: begun
SELECT path, key, size_bytes, etag FROM object
WHERE product = :product
  AND EXISTS (SELECT 1 FROM piece WHERE piece.object = object.id AND (done_bytes > 0 OR written_bytes > 0))

-- name: drop_object
DELETE FROM object WHERE id = :id

-- name: add_objects
INSERT INTO object (product, key, path, size_bytes, etag)
SELECT :product, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:objects) ORDER BY json_each.key

-- name: add_pieces
INSERT INTO piece (product, object, first_byte, size_bytes)
SELECT :product, object.id, value ->> 1, value ->> 2
FROM json_each(:pieces) CROSS JOIN object ON object.product = :product AND object.path = value ->> 0
ORDER BY json_each.key

-- name: planned
UPDATE product SET planned = 1, size_bytes = :size_bytes, destination = :destination, staging = :staging,
    partial = :partial, cause = NULL, code = NULL, process = NULL, fence = NULL
WHERE id = :product AND fence = :fence
RETURNING EXISTS (SELECT 1 FROM object WHERE object.product = product.id) AS has_objects

-- The process that digests it has digested bytes that are fetched again.
-- name: mark_bad
UPDATE object SET bad_digest = :digest, md5 = NULL, sha3_256 = NULL, stamp = NULL, process = NULL WHERE id = :id

-- name: count_damaged
UPDATE object SET damaged = damaged + 1 WHERE id = :id RETURNING damaged

-- name: reset_pieces
UPDATE piece SET done_bytes = 0, written_bytes = 0 WHERE object = :id
