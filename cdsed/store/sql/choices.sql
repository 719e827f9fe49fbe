-- name: widen
UPDATE product SET choice = :choice, replaces = iif(choice IS :choice, replaces, NULL),
    replaces_inode = iif(choice IS :choice, replaces_inode, NULL)
WHERE id = :id

-- name: of_listings
SELECT DISTINCT listing.choice FROM open_want JOIN listing ON listing.id = open_want.listing
WHERE open_want.product = :product
