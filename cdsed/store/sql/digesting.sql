-- An object that comes in several pieces is digested while it arrives, from its first piece on. Small ones never do.
-- name: to_digest
SELECT object.id FROM product CROSS JOIN object ON object.product = product.id
WHERE product.state = 'downloading' AND product.planned = 1 AND product.held = 0 AND product.cancels = 0
  AND object.size_bytes > :least_bytes AND object.md5 IS NULL AND object.sha3_256 IS NULL AND object.process IS NULL
  AND object.id NOT IN (SELECT value FROM json_each(:unless))
  AND CASE WHEN :only IS NULL THEN product.deaths = 0 ELSE product.id = :only END
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || destination AND until_s > :now_s)
  AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
  AND EXISTS (SELECT 1 FROM piece WHERE piece.object = object.id AND first_byte = 0 AND done_bytes = piece.size_bytes)
  AND EXISTS (SELECT 1 FROM piece WHERE piece.object = object.id AND first_byte > 0)
ORDER BY product.priority DESC, product.id, object.id LIMIT 1

-- name: claim
UPDATE object SET process = :process WHERE id = :id

-- The objects that a process may continue to digest, with the bytes that have arrived from the beginning on.
-- name: claimed
SELECT object.id, object.path, object.size_bytes, product.safename, product.staging, product.destination,
       coalesce((SELECT first_byte + done_bytes FROM piece
                 WHERE piece.object = object.id AND done_bytes < piece.size_bytes ORDER BY first_byte LIMIT 1),
                object.size_bytes) AS arrived_bytes
FROM object CROSS JOIN product ON product.id = object.product
WHERE object.process = :process
  AND product.state = 'downloading' AND product.planned = 1 AND product.held = 0 AND product.cancels = 0
  AND CASE WHEN :only IS NULL THEN product.deaths = 0 ELSE product.id = :only END
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || destination AND until_s > :now_s)
  AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
ORDER BY product.priority DESC, product.id, object.id

-- Digests of an object that is fetched again meanwhile do not count.
-- name: store
UPDATE object SET md5 = :md5, sha3_256 = :sha3_256, stamp = :stamp
WHERE id = :id AND process = :process
  AND NOT EXISTS (SELECT 1 FROM piece WHERE piece.object = object.id AND done_bytes < piece.size_bytes)

-- name: let_go
UPDATE object SET process = NULL WHERE id = :id AND process = :process

-- name: let_go_all
UPDATE object SET process = NULL WHERE process = :process
