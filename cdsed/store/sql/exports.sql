-- name: products
SELECT product.id AS position, safename, state, path, size_bytes, account_group, attempts, s3_path, path_source,
    product_id, md5, code, cause, changed_at,
    (SELECT json_group_array(DISTINCT listing.name) FROM want JOIN listing ON listing.id = want.listing
     WHERE want.product = product.id) AS listings,
    (SELECT min(at) FROM event WHERE event.product = product.id AND origin IS NULL) AS entered_at,
    (SELECT max(at) FROM event WHERE event.product = product.id AND target = 'done') AS done_at,
    (SELECT min(taken_at) FROM want JOIN listing ON listing.id = want.listing
     WHERE want.product = product.id) AS taken_at
FROM product
WHERE product.id > :after AND state IN (SELECT value FROM json_each(:states)) AND changed_at >= :since
ORDER BY product.id LIMIT :most

-- CROSS JOIN begins with the listing, whose products are read in the order of their numbers.
-- name: products_of_listing
SELECT product.id AS position, safename, state, path, size_bytes, account_group, attempts, s3_path, path_source,
    product_id, md5, code, cause, changed_at,
    (SELECT json_group_array(DISTINCT listing.name) FROM want JOIN listing ON listing.id = want.listing
     WHERE want.product = product.id) AS listings,
    (SELECT min(at) FROM event WHERE event.product = product.id AND origin IS NULL) AS entered_at,
    (SELECT max(at) FROM event WHERE event.product = product.id AND target = 'done') AS done_at,
    (SELECT min(taken_at) FROM want JOIN listing ON listing.id = want.listing
     WHERE want.product = product.id) AS taken_at
FROM want AS chosen CROSS JOIN product ON product.id = chosen.product
WHERE chosen.listing = :listing AND chosen.product > :after
    AND state IN (SELECT value FROM json_each(:states)) AND changed_at >= :since
ORDER BY chosen.product LIMIT :most
