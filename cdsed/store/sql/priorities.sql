-- name: set_listing
UPDATE listing SET priority = :priority WHERE id = :id AND state IN ('taking', 'open')

-- A product has the highest priority of the open listings that want it.
-- name: follow_listing
UPDATE product SET priority = (SELECT max(listing.priority) FROM open_want JOIN listing ON listing.id = open_want.listing
                               WHERE open_want.product = product.id)
WHERE id IN (SELECT product FROM want WHERE listing = :id)
  AND state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')
  AND EXISTS (SELECT 1 FROM open_want WHERE open_want.product = product.id)
RETURNING id

-- name: set_product
UPDATE product SET priority = :priority
WHERE id = :id AND state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')
RETURNING id
