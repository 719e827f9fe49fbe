-- name: waits
SELECT EXISTS (SELECT 1 FROM product WHERE state = 'ready' AND account_group = :group AND held = 0)

-- What no session fetches yet of the products under way, and how many sessions there are to fetch it.
-- name: left
SELECT count(piece.id) AS pieces, coalesce(sum(piece.size_bytes - piece.done_bytes), 0) AS open_bytes,
       (SELECT count(*) FROM account JOIN session ON session.account = account.name
        WHERE account.account_group = :group AND listed = 1 AND has_keys = 1 AND enabled = 1) AS sessions
FROM product CROSS JOIN piece ON piece.product = product.id AND piece.done_bytes < piece.size_bytes
WHERE product.state = 'downloading' AND product.account_group = :group AND product.planned = 1
  AND product.held = 0 AND product.cancels = 0 AND piece.fence IS NULL

-- The pieces that sessions hold, in the order in which each session fetches them.
-- name: held
SELECT session.account, session.slot, session.fence, piece.id, piece.size_bytes, piece.done_bytes
FROM account JOIN session ON session.account = account.name JOIN piece ON piece.fence = session.fence
    JOIN object ON object.id = piece.object
WHERE account.account_group = :group
ORDER BY session.account, session.slot, object.size_bytes - piece.first_byte DESC, piece.object

-- name: shorten
UPDATE piece SET size_bytes = :size_bytes WHERE id = :id

-- name: rest
INSERT INTO piece (product, object, first_byte, size_bytes)
SELECT product, object, first_byte + :size_bytes, size_bytes - :size_bytes FROM piece WHERE id = :id
