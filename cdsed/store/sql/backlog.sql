-- Open listings in the order of their work, with what is unfinished of each kind.
-- name: listings
SELECT listing.id, listing.account_group, listing.priority, listing.state, listing.outputdir,
       backlog.kind, backlog.products, backlog.sized, backlog.size_bytes
FROM listing JOIN backlog ON backlog.listing = listing.id
WHERE listing.state IN ('taking', 'open') AND backlog.products > 0
ORDER BY listing.priority DESC, listing.id

-- name: all
SELECT kind, products, sized, size_bytes FROM backlog WHERE listing = 0 AND products > 0

-- name: kinds
SELECT kind, products, requests, size_bytes FROM product_kind

-- Products of which the rest is known: their open pieces. Nothing is left to fetch of one that is verified.
-- name: planned
SELECT id, kind, size_bytes,
       (SELECT coalesce(sum(size_bytes - max(done_bytes, written_bytes)), 0) FROM piece
        WHERE piece.product = product.id AND done_bytes < size_bytes) AS open_bytes,
       (SELECT count(*) FROM piece WHERE piece.product = product.id AND done_bytes < size_bytes) AS open_pieces
FROM product WHERE state = 'downloading' AND planned = 1
UNION ALL
SELECT id, kind, size_bytes, 0, 0 FROM product WHERE state = 'verifying' AND process IS NOT NULL

-- name: listings_of
SELECT listing FROM want JOIN listing ON listing.id = want.listing
WHERE want.product = :product AND listing.state IN ('taking', 'open')

-- The products that are tried again last, with the listings that want them.
-- name: last_due
SELECT want.listing, max(due_s) AS due_s
FROM (SELECT id, due_s FROM product WHERE due_s IS NOT NULL ORDER BY due_s DESC LIMIT :most) AS late
JOIN want ON want.product = late.id GROUP BY want.listing

-- The mean of the last ones: how products are packed changes over the years.
-- name: learn
INSERT INTO product_kind (kind, products, requests, size_bytes)
SELECT kind, 1, :requests, size_bytes FROM product WHERE id = :product AND size_bytes IS NOT NULL
ON CONFLICT (kind) DO UPDATE SET products = products + 1,
    requests = requests + (excluded.requests - requests) / min(products + 1, :most),
    size_bytes = size_bytes + (excluded.size_bytes - size_bytes) / min(products + 1, :most)
