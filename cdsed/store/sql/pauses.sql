-- name: add
INSERT INTO pause (kind, name, source, since_at, until_at) VALUES (:kind, :name, 'person', :at, :until_at)
ON CONFLICT (kind, name, source) DO UPDATE SET until_at = excluded.until_at

-- name: allow_window
DELETE FROM resumed WHERE kind = :kind AND name = :name

-- name: skip_window
INSERT INTO resumed (kind, name, until_at)
SELECT kind, name, until_at FROM pause WHERE kind = :kind AND name = :name AND source = 'window'
ON CONFLICT (kind, name) DO UPDATE SET until_at = excluded.until_at

-- name: remove
DELETE FROM pause WHERE kind = :kind AND name = :name

-- name: in_force
SELECT kind, pause.name, coalesce(listing.name, pause.name) AS shown, source, since_at, until_at
FROM pause LEFT JOIN listing ON kind = 'listing' AND listing.id = CAST(pause.name AS INTEGER)
WHERE until_at IS NULL OR until_at > :now_at
ORDER BY kind = 'all' DESC, kind, pause.name, source

-- name: over
SELECT kind, pause.name, coalesce(listing.name, pause.name) AS shown, source, since_at, until_at
FROM pause LEFT JOIN listing ON kind = 'listing' AND listing.id = CAST(pause.name AS INTEGER)
WHERE until_at <= :now_at AND source = 'person'

-- name: end_over
DELETE FROM pause WHERE until_at <= :now_at AND source = 'person'

-- name: any_from_later
SELECT EXISTS (SELECT 1 FROM pause WHERE since_at > :now_at AND until_at IS NOT NULL AND source = 'person')

-- name: begin_again
UPDATE pause SET since_at = :now_at, until_at = until_at - since_at + :now_at
WHERE since_at > :now_at AND until_at IS NOT NULL AND source = 'person'

-- name: forget_resumed
DELETE FROM resumed WHERE until_at <= :now_at

-- name: any_resumed_over
SELECT EXISTS (SELECT 1 FROM resumed WHERE until_at <= :now_at)

-- Products without a destination wait as soon as every spool is paused.
-- name: every_spool
SELECT (SELECT count(*) FROM json_each(:spools)
        WHERE value NOT IN (SELECT name FROM pause WHERE kind = 'disk')) = 0
       AND json_array_length(:spools) > 0 AS paused,
       EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = 'unknown') AS noted

-- name: disk_is_paused
SELECT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = :place)

-- Which pauses hold one product, if any of its accounts is not paused too.
-- name: of_product
SELECT pause.kind, pause.name FROM pause JOIN product ON product.id = :product
WHERE pause.kind = 'all'
   OR (pause.kind = 'group' AND pause.name = product.account_group)
   OR (pause.kind = 'disk' AND pause.name = product.place)
   OR (pause.kind = 'listing' AND product.held = 1
       AND CAST(pause.name AS INTEGER) IN (SELECT listing FROM open_want WHERE open_want.product = product.id))
   OR (pause.kind = 'account' AND NOT EXISTS (
           SELECT 1 FROM account WHERE account.account_group = product.account_group AND listed = 1
           AND account.name NOT IN (SELECT name FROM pause WHERE kind = 'account'))
       AND pause.name IN (SELECT name FROM account WHERE account_group = product.account_group))

-- How much a pause holds: unfinished products, or the sessions of an account.
-- name: held_by
SELECT CASE :kind
    WHEN 'account' THEN (SELECT count(*) FROM session WHERE account = :name AND enabled = 1)
    WHEN 'group' THEN (SELECT count(*) FROM product WHERE account_group = :name
                       AND state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled'))
    WHEN 'disk' THEN (SELECT count(*) FROM product WHERE place = :name
                      AND state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled'))
    ELSE (SELECT coalesce(sum(products), 0) FROM tally WHERE listing = CAST(:name AS INTEGER)
          AND state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled'))
    END
