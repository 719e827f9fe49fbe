-- name: listings_of
SELECT listing.name, listing.state, listing.cancelled_at IS NOT NULL AS cancelled,
       EXISTS (SELECT 1 FROM pause WHERE kind = 'listing' AND name = CAST(listing.id AS TEXT)) AS paused
FROM want JOIN listing ON listing.id = want.listing WHERE want.product = :product ORDER BY listing.id

-- name: ahead
SELECT count(*) FROM product AS other
WHERE other.state = 'ready' AND other.account_group = :group AND other.held = 0
  AND (other.priority > :priority OR (other.priority = :priority AND other.id < :id))

-- name: disk_breaker
SELECT reason, until_s FROM breaker WHERE open = 1 AND until_s > :now_s
  AND name = 'disk:' || (SELECT place FROM product WHERE id = :product)

-- name: denied
SELECT account FROM access_denial WHERE product = :product ORDER BY account

-- name: facts
SELECT cancels, deaths, code, path_refuted FROM product WHERE id = :product
