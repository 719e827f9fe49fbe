-- Products that a worker died over ("suspects") are worked on alone, so that no other product is charged with them.

-- name: any
SELECT 1 FROM product WHERE deaths > 0 AND state IN ('ready', 'downloading', 'verifying') LIMIT 1

-- The next suspect of each group that can be worked on now. A suspect that a second worker died over must wait until
-- no worker has died for a while, because the next death decides. A suspect that waits for its disk or for another
-- account does not block the others.
-- name: line
SELECT id, account_group, arrived FROM (
    SELECT id, account_group, state, planned,
           planned = 1 AND NOT EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id
                                       AND done_bytes < piece.size_bytes) AS arrived,
           row_number() OVER (PARTITION BY account_group ORDER BY
                              (SELECT count(*) FROM access_denial WHERE access_denial.product = product.id), deaths, id) AS place_in_line
    FROM product
    WHERE deaths > 0 AND state IN ('ready', 'downloading', 'verifying')
      AND held = 0 AND cancels = 0
      AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || place AND until_s > :now_s)
      AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'all' OR (kind = 'group' AND name = account_group)
                      OR (kind = 'disk' AND name = place))
      AND NOT EXISTS (SELECT 1 FROM drain WHERE account = '' AND state = 'ready')
      AND (deaths = 1 OR NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'suspects' AND until_s > :now_s))
      AND (state <> 'downloading' OR planned = 0
           OR NOT EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < piece.size_bytes)
           OR EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < piece.size_bytes
                      AND (piece.fence IS NOT NULL OR piece.due_s <= :now_s))))
WHERE place_in_line = 1
ORDER BY id

-- The products each process works on. At a paused disk a thread may be stuck for days: such products are left out.
-- name: holdings
SELECT held.process, held.product, product.deaths FROM (
    SELECT session.process, piece.product FROM session JOIN piece ON piece.fence = session.fence
    WHERE session.process IS NOT NULL
    UNION
    SELECT process, id FROM product WHERE process IS NOT NULL AND state IN ('downloading', 'verifying')
    UNION
    SELECT process, product FROM object WHERE process IS NOT NULL) AS held
CROSS JOIN product ON product.id = held.product  -- CROSS: few are held, of a million
WHERE NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || product.place AND until_s > :now_s)
ORDER BY held.product

-- Workers that can work on a product, and how many of their sessions could fetch it. If some processes only publish, the
-- others do not.
-- name: downloaders
SELECT process.id,
       (SELECT count(*) FROM session JOIN account ON account.name = session.account
        WHERE session.process = process.id AND account.account_group = :group
          AND account.name NOT IN (SELECT account FROM access_denial WHERE product = :product)) AS sessions
FROM process WHERE name NOT IN ('intake', 'resolve', 'keys', 'queries', 'hooks', 'web')
    AND CASE WHEN name LIKE 'publish-%' THEN :arrived
        ELSE NOT (:arrived AND EXISTS (SELECT 1 FROM process WHERE name LIKE 'publish-%')) END

-- name: denied
SELECT account FROM access_denial WHERE product = :product
