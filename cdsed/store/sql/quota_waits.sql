-- name: sessions
SELECT account, slot, process IS NOT NULL AS busy, rest_until_s, waits_for
FROM session WHERE enabled = 1 ORDER BY account, slot

-- The sessions that work on a product: they hold a piece of it.
-- name: sessions_of_product
SELECT DISTINCT account, slot FROM session JOIN piece ON piece.fence = session.fence WHERE piece.product = :product

-- name: denied
SELECT account FROM access_denial WHERE product = :product
