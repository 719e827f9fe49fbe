-- name: get
SELECT id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, md5, size_bytes,
       attempts, transient_failures, planned, destination, staging, path, cause, fence,
       replaces, replaces_inode, layout, choice, partial
FROM product WHERE id = :id

-- name: fence_of
SELECT fence FROM product WHERE id = :id

-- name: by_safename
SELECT id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, md5, size_bytes,
       attempts, transient_failures, planned, destination, staging, path, cause, fence,
       replaces, replaces_inode, layout, choice, partial
FROM product WHERE safename = :safename

-- name: similar_names
SELECT safename FROM (SELECT safename FROM product WHERE safename < :safename ORDER BY safename DESC LIMIT 2)
UNION ALL
SELECT safename FROM (SELECT safename FROM product WHERE safename >= :safename ORDER BY safename LIMIT 2)

-- name: add
INSERT INTO product (safename, state, account_group, priority, outputdir, product_id, s3_path, path_source,
                     path, changed_at, layout, choice, partial)
VALUES (:safename, :state, :account_group, :priority, :outputdir, :product_id, :s3_path, :path_source,
        :path, :at, :layout, :choice, :partial)
RETURNING id

-- name: name
UPDATE product SET safename = :safename WHERE id = :id AND fence = :fence

-- name: ask_again
UPDATE product SET state = 'queued', account_group = :account_group, priority = :priority, outputdir = :outputdir,
    destination = CASE WHEN outputdir IS :outputdir THEN destination END,  -- start again at another output directory
    staging = CASE WHEN outputdir IS :outputdir THEN staging END,
    product_id = coalesce(:product_id, product_id),
    s3_path = :s3_path, path_source = :path_source, path_refuted = 0,
    attempts = 0, transient_failures = 0, deaths = 0, refusals = 0, refused_at = NULL, refused_for_s = 0, offered_again = 0,
    planned = 0, path = NULL, cause = NULL, code = NULL, replaces = NULL, replaces_inode = NULL,
    layout = :layout, choice = :choice, partial = 0,
    changed_at = :at
WHERE id = :id

-- name: requeue
UPDATE product SET state = CASE WHEN state = 'retry_wait' AND s3_path IS NOT NULL THEN 'ready' ELSE 'queued' END,
    s3_path = CASE WHEN state = 'retry_wait' OR path_source = 'listing' THEN s3_path END,
    path_source = CASE WHEN state = 'retry_wait' OR path_source = 'listing' THEN path_source END,
    path_refuted = CASE WHEN state = 'retry_wait' THEN path_refuted ELSE 0 END,
    attempts = 0, transient_failures = 0, deaths = 0, refusals = 0, refused_at = NULL, refused_for_s = 0, offered_again = 0,
    planned = 0, due_s = NULL, path = NULL, cancels = 0,
    cause = 'started again', code = NULL, changed_at = :at
WHERE id = :id AND state IN ('retry_wait', 'unavailable', 'corrupt', 'failed', 'cancelled')

-- name: hasten_pieces
UPDATE piece SET due_s = 0, transient_failures = 0
WHERE object IN (SELECT id FROM object WHERE product = :id) AND (due_s > 0 OR transient_failures > 0)

-- name: in_states
SELECT id AS position FROM product
WHERE (state IN (SELECT value FROM json_each(:states))
       OR (cancels = 1 AND 'cancelled' IN (SELECT value FROM json_each(:states))))
  AND (:code IS NULL OR code = :code) AND id > :after ORDER BY id LIMIT 500

-- name: in_states_of_listing
SELECT product AS position FROM want JOIN product ON product.id = want.product
WHERE listing = :listing AND product > :after
  AND (state IN (SELECT value FROM json_each(:states))
       OR (cancels = 1 AND 'cancelled' IN (SELECT value FROM json_each(:states))))
  AND (:code IS NULL OR code = :code)
ORDER BY product LIMIT 500

-- name: return_to_queue
UPDATE product SET state = 'queued', cause = NULL, code = NULL, changed_at = :at WHERE id = :id

-- name: raise_priority
UPDATE product SET priority = max(priority, :priority) WHERE id = :id

-- name: queued
SELECT id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, md5, size_bytes,
       attempts, transient_failures, planned, destination, staging, path, cause, fence,
       replaces, replaces_inode, layout, choice, partial
FROM product
WHERE state = 'queued' AND path_refuted = :asks_catalogue AND id NOT IN (SELECT value FROM json_each(:but))
ORDER BY priority DESC, id LIMIT :most

-- name: ask_catalogue
UPDATE product SET path_refuted = 1
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'queued' AND s3_path IS NULL

-- name: claim_resolving
UPDATE product SET state = 'resolving', process = :process, fence = :fence, changed_at = :at
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'queued'
RETURNING id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, md5, size_bytes,
    attempts, transient_failures, planned, destination, staging, path, cause, fence,
    replaces, replaces_inode, layout, choice, partial

-- name: resolved
UPDATE product SET state = 'ready', s3_path = :s3_path, path_source = :path_source,
    product_id = coalesce(:product_id, product_id), md5 = coalesce(:md5, md5),
    size_bytes = coalesce(:size_bytes, size_bytes), transient_failures = 0, process = NULL, fence = NULL, changed_at = :at
WHERE id = :id AND fence = :fence

-- Every change of a claimed product's state; the fence of the caller must still be valid.
-- name: move
UPDATE product SET state = :state, cause = :cause, code = :code, due_s = :due_s, path = :path,
    attempts = attempts + :attempts, transient_failures = transient_failures + :transient_failures,
    deaths = CASE WHEN :state IN ('done', 'already_present') THEN 0 ELSE deaths END,
    cancels = cancels AND :goes_on, replaces = iif(:goes_on, replaces, NULL),
    replaces_inode = iif(:goes_on, replaces_inode, NULL),
    planned = :planned, partial = coalesce(:partial, partial), process = NULL, fence = NULL, changed_at = :at
WHERE id = :id AND fence IS :fence
RETURNING id

-- What a person has commanded of a product that now ends, or is released.
-- name: commanded
SELECT cancels, replaces,
       EXISTS (SELECT 1 FROM object WHERE product = :id)
       AND NOT EXISTS (SELECT 1 FROM piece WHERE product = :id AND done_bytes < size_bytes) AS arrived
FROM product WHERE id = :id AND (cancels = 1 OR replaces IS NOT NULL)

-- name: drop_pieces_held
UPDATE piece SET fence = NULL WHERE product = :id AND fence IS NOT NULL

-- name: refute_path
UPDATE product SET s3_path = NULL, path_source = NULL, path_refuted = 1 WHERE id = :id

-- name: forget_objects
DELETE FROM object WHERE product = :id

-- name: any_due
SELECT 1 FROM product WHERE due_s <= :now_s AND cancels = 0 LIMIT 1

-- name: wake_due
UPDATE product SET state = CASE WHEN s3_path IS NULL THEN 'queued' ELSE 'ready' END, due_s = NULL, changed_at = :at
WHERE due_s <= :now_s AND cancels = 0

-- The cause of a wait for another state is kept until the product is planned: the report may have to name that state.
-- name: claim_ready
UPDATE product SET state = 'downloading', process = :process, fence = :fence, planned = 0,
    cause = CASE WHEN code = 'OtherState' THEN cause END, code = CASE WHEN code = 'OtherState' THEN code END,
    changed_at = :at
WHERE id = :id AND state = 'ready'
RETURNING id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, md5, size_bytes,
    attempts, transient_failures, planned, destination, staging, path, cause, fence,
    replaces, replaces_inode, layout, choice, partial

-- name: groups_at_work
SELECT account_group FROM (
    SELECT account_group FROM ready_place
    WHERE NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || place AND until_s > :now_s)
      AND NOT EXISTS (SELECT 1 FROM drain WHERE account = '')
    UNION
    SELECT account_group FROM product
    WHERE state = 'downloading' AND planned = 1 AND held = 0 AND cancels = 0
      AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || destination AND until_s > :now_s)
      AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
      AND EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < size_bytes AND fence IS NULL
                  AND piece.due_s <= :now_s))
WHERE NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'all' OR (kind = 'group' AND name = account_group))

-- :only is the one suspect that the process works on, see suspects.sql. It also says whether there is any suspect.
-- name: arrived
SELECT (
    SELECT id FROM product
    WHERE state = 'downloading' AND planned = 1 AND cancels = 0
      AND NOT EXISTS (SELECT 1 FROM piece WHERE piece.product = product.id AND done_bytes < size_bytes)
      AND NOT EXISTS (SELECT 1 FROM object WHERE object.product = product.id AND object.process IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM breaker WHERE name = 'disk:' || destination AND until_s > :now_s)
      AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = destination)
      AND CASE WHEN :only IS NULL THEN deaths = 0 ELSE id = :only END
      AND (:destination IS NULL OR destination = :destination)
    ORDER BY priority DESC, id LIMIT 1
    ) AS id,
    EXISTS (SELECT 1 FROM product WHERE deaths > 0 AND state IN ('ready', 'downloading', 'verifying')) AS suspects

-- name: claim_verifying
UPDATE product SET state = 'verifying', process = :process, fence = :fence, changed_at = :at
WHERE id = :id
RETURNING id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, md5, size_bytes,
    attempts, transient_failures, planned, destination, staging, path, cause, fence,
    replaces, replaces_inode, layout, choice, partial

-- name: choose_place
UPDATE product SET destination = :destination, staging = :staging, size_bytes = :size_bytes
WHERE id = :id AND fence = :fence
RETURNING EXISTS (SELECT 1 FROM object WHERE object.product = product.id) AS has_objects

-- A product that replaces a copy keeps the place of that copy.
-- name: forget_place
UPDATE product SET destination = iif(replaces IS NULL, NULL, destination), staging = NULL WHERE id = :id AND fence IS :fence
