-- A pattern may leave the extension of a product out.
-- name: products
SELECT id FROM product WHERE safename GLOB :pattern OR safename GLOB :pattern || '.*' ORDER BY id

-- name: listings
SELECT id FROM listing WHERE name GLOB :pattern AND state <> 'refused' ORDER BY id

-- name: open_listings_named
SELECT id FROM listing WHERE (name = :name OR path = :name) AND state IN ('taking', 'open') ORDER BY id

-- name: products_of
SELECT DISTINCT product AS id FROM want WHERE listing IN (SELECT value FROM json_each(:listings)) ORDER BY product

-- name: accounts
SELECT name FROM account WHERE listed = 1 ORDER BY name

-- name: outputdirs
SELECT DISTINCT outputdir FROM product WHERE outputdir IS NOT NULL
