-- name: known
SELECT safename FROM product WHERE safename IN (SELECT value FROM json_each(:names))

-- Rows of safename, product id, S3 path and line; the products get their numbers in this order.
-- name: add
INSERT INTO product (safename, state, account_group, priority, outputdir, product_id, s3_path, path_source,
                     changed_at, layout, choice)
SELECT value ->> 0, 'queued', :account_group, :priority, :outputdir, value ->> 1, value ->> 2,
       iif(value ->> 2 IS NULL, NULL, 'listing'), :at, :layout, :choice
FROM json_each(:rows)

-- name: want
INSERT INTO want (listing, product, line)
SELECT :listing, product.id, value ->> 3
FROM json_each(:rows) CROSS JOIN product ON product.safename = value ->> 0
