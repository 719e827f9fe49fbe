-- name: get
SELECT * FROM standing_query WHERE name = :name

-- name: all_states
SELECT * FROM standing_query ORDER BY name

-- name: begin
INSERT INTO standing_query (name, mark_at, mark_assumed, deleted_at, anchor_at)
VALUES (:name, :mark_at, :assumed, :mark_at, :anchor_at) ON CONFLICT (name) DO NOTHING

-- name: anchor
UPDATE standing_query SET anchor_at = :at WHERE name = :name

-- name: seen
SELECT product_id, md5, changed_at, deleted FROM query_product
WHERE query = :query AND product_id IN (SELECT value FROM json_each(:ids))

-- name: keep
INSERT INTO query_product (query, product_id, safename, md5, changed_at, run, s3_path)
VALUES (:query, :product_id, :safename, :md5, :changed_at, :run, :s3_path)
ON CONFLICT (query, product_id) DO UPDATE
SET safename = excluded.safename, md5 = coalesce(excluded.md5, md5), changed_at = excluded.changed_at, deleted = 0,
    run = coalesce(excluded.run, run), s3_path = coalesce(excluded.s3_path, s3_path)

-- name: keep_deleted
INSERT INTO query_product (query, product_id, safename, changed_at, deleted)
VALUES (:query, :product_id, :safename, :at, 1)
ON CONFLICT (query, product_id) DO UPDATE SET deleted = 1

-- name: forget_old
DELETE FROM query_product WHERE query = :query AND changed_at < :before AND run IS NULL

-- name: begin_run
INSERT INTO query_run (query, listing, report) VALUES (:query, :listing, :report) RETURNING id

-- name: advance
UPDATE standing_query
SET mark_at = CASE WHEN mark_assumed = 1 THEN coalesce(:mark_at, mark_at)
                   ELSE max(mark_at, coalesce(:mark_at, mark_at)) END,
    mark_assumed = CASE WHEN :mark_at IS NULL THEN mark_assumed ELSE 0 END,
    deleted_at = max(deleted_at, coalesce(:deleted_at, deleted_at)),
    anchor_at = :at, ran_at = :at, found = found + :found, found_last = :found,
    listing = CASE WHEN :found > 0 THEN :listing ELSE listing END, failures = 0, error = NULL, requested = :requested
WHERE name = :name

-- name: fail
UPDATE standing_query SET failures = failures + 1, error = :error, requested = 0 WHERE name = :name RETURNING failures

-- name: unwritten
SELECT id, query, listing, report FROM query_run ORDER BY id

-- name: to_list
SELECT product_id, safename, s3_path FROM query_product WHERE run = :run ORDER BY product_id

-- name: listed
UPDATE query_product SET run = NULL, s3_path = NULL WHERE run = :run

-- name: end_run
DELETE FROM query_run WHERE id = :run

-- name: pause
UPDATE standing_query SET paused = :paused WHERE name = :name AND paused <> :paused RETURNING name

-- name: request
UPDATE standing_query SET requested = 1 WHERE name = :name

-- name: names_beginning
SELECT safename, state, path FROM product
WHERE safename >= :first AND safename < :last AND state IN ('done', 'already_present') ORDER BY safename LIMIT 100
