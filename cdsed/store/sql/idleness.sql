-- name: due
SELECT count(*) AS products, min(due_s) AS due_s FROM product WHERE due_s IS NOT NULL

-- Groups without an account in the accounts file, whose products wait for one.
-- name: deserted_groups
WITH RECURSIVE wanted (account_group) AS (
    SELECT min(account_group) FROM product WHERE state = 'ready'
    UNION ALL
    SELECT (SELECT min(account_group) FROM product
            WHERE state = 'ready' AND product.account_group > wanted.account_group)
    FROM wanted WHERE account_group IS NOT NULL)
SELECT account_group FROM wanted WHERE account_group IS NOT NULL
UNION
SELECT account_group FROM product WHERE state = 'downloading'
EXCEPT
SELECT account_group FROM account WHERE listed = 1
ORDER BY account_group
