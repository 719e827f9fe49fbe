-- name: processes
SELECT id FROM process

-- name: paths
SELECT path FROM listing WHERE state <> 'refused'

-- name: finished_paths
SELECT path FROM listing WHERE state IN ('open', 'reported')

-- name: open_listings
SELECT id, path FROM listing WHERE state = 'open'

-- name: taking
SELECT id, path FROM listing WHERE state = 'taking'

-- name: close
UPDATE listing SET state = 'reported', reported_at = :at WHERE id = :id

-- name: lost
UPDATE listing SET state = 'refused', reason = :reason WHERE id = :id

-- A backup is older than the files of half-done products: their transfer starts again.
-- name: forget_objects
DELETE FROM object

-- A cancelled product whose bytes had all arrived waits until it is looked for on disk, and is cancelled then.
-- name: unplan
UPDATE product SET state = iif(cancels, 'retry_wait', 'queued'), due_s = iif(cancels, 0, NULL), planned = 0,
    changed_at = :at
WHERE state = 'downloading'

-- name: unsettled
SELECT id AS position, id, safename, outputdir, layout, choice FROM product
WHERE state IN ('queued', 'ready', 'retry_wait') AND id > :after ORDER BY id LIMIT 1000

-- The table of transitions allows ready to queued only by way of downloading.
-- name: take_back_ready
UPDATE product SET state = 'downloading', changed_at = :at WHERE id = :id AND state = 'ready'

-- name: take_back
UPDATE product SET state = 'queued', due_s = NULL, cancels = 0, changed_at = :at
WHERE id = :id AND state IN ('downloading', 'retry_wait')

-- name: already_present
UPDATE product SET state = 'already_present', path = :path, partial = :partial, cause = NULL, code = NULL,
    replaces = NULL, replaces_inode = NULL, changed_at = :at
WHERE id = :id AND state = 'queued'

-- name: lift_fence
UPDATE fence SET value = max(value, :least)

-- name: traffic
SELECT account, hour, requests, bytes FROM traffic_hour

-- name: carry_traffic
INSERT INTO traffic_hour (account, hour, requests, bytes) VALUES (:account, :hour, :requests, :bytes)
ON CONFLICT (account, hour) DO UPDATE SET requests = max(requests, excluded.requests), bytes = max(bytes, excluded.bytes)

-- A listing keeps the number of its receipt, if that number is free.
-- name: enter_listing
INSERT INTO listing (id, sha256, account_group, outputdir, priority, name, owner, state, path, taken_at, reported_at,
                     layout, choice)
VALUES (CASE WHEN EXISTS (SELECT 1 FROM listing WHERE id = :id) THEN NULL ELSE :id END,
        :sha256, :account_group, :outputdir, :priority, :name, :owner, 'reported', :path, :taken_at, :reported_at,
        :layout, :choice)
RETURNING id

-- name: enter_product
INSERT INTO product (safename, state, account_group, priority, outputdir, size_bytes, attempts, path, cause,
                     changed_at, layout, choice, partial)
VALUES (:safename, :state, :account_group, :priority, :outputdir, :size_bytes, :attempts, :path, :cause, :at,
        :layout, :choice, :partial)
ON CONFLICT (safename) DO NOTHING

-- name: enter_want
INSERT INTO want (listing, product, line)
SELECT :listing, id, :line FROM product WHERE safename = :safename
ON CONFLICT (listing, product) DO NOTHING
