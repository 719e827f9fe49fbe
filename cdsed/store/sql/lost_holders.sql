-- name: products
SELECT DISTINCT product FROM piece WHERE fence IN (SELECT value FROM json_each(:fences))

-- The process that digests an object has digested bytes that are fetched again.
-- name: forget_digests
UPDATE object SET md5 = NULL, sha3_256 = NULL, stamp = NULL, process = NULL
WHERE id IN (SELECT object FROM piece WHERE fence IS NOT NULL AND product = :product)

-- name: reset_pieces
UPDATE piece SET done_bytes = 0, written_bytes = 0
WHERE object IN (SELECT object FROM piece WHERE fence IS NOT NULL AND product = :product)
