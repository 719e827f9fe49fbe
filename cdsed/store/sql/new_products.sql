-- name: known
SELECT safename FROM product WHERE safename IN (SELECT value FROM json_each(:names))

-- Triggers are switched off for these statements: they do what triggers do for a single product. OR ROLLBACK needs no journal
-- of the statement. Each row is a safename, or else an array of safename, product id and S3 path. The products get their
-- numbers in this order.
-- name: add
INSERT OR ROLLBACK INTO product (safename, state, account_group, priority, outputdir, product_id, s3_path, path_source,
                                 changed_at, layout, choice, held)
SELECT iif(type = 'text', value, value ->> 0), 'queued', :account_group, :priority, :outputdir,
       iif(type = 'array', value ->> 1, NULL), iif(type = 'array', value ->> 2, NULL),
       iif(type = 'array' AND value ->> 2 IS NOT NULL, 'listing', NULL), :at, :layout, :choice,
       (SELECT state IN ('taking', 'open') AND cancelled_at IS NULL FROM listing WHERE id = :listing)
       AND EXISTS (SELECT 1 FROM pause WHERE kind = 'listing' AND name = CAST(:listing AS TEXT))
FROM json_each(:rows)

-- name: first
SELECT max(id) - :products + 1 FROM product

-- name: want
INSERT OR ROLLBACK INTO want (listing, product, line) SELECT :listing, :first + key, value FROM json_each(:lines)

-- name: tell
INSERT OR ROLLBACK INTO event (product, at, target, attempts)
SELECT :first + key, :at, 'queued', 0 FROM json_each(:lines)

-- name: tally
INSERT INTO tally (listing, state, products, size_bytes)
SELECT value, 'queued', :products, 0 FROM json_each(json_array(0, :listing)) WHERE true
ON CONFLICT (listing, state) DO UPDATE SET products = products + excluded.products

-- name: join_backlog
INSERT INTO backlog (listing, kind, products, sized, size_bytes)
SELECT listing.value, kind, products, 0, 0
FROM (SELECT kind, count(*) AS products FROM product WHERE id >= :first GROUP BY kind)
CROSS JOIN json_each(json_array(0, :listing)) AS listing WHERE true
ON CONFLICT (listing, kind) DO UPDATE SET products = products + excluded.products
