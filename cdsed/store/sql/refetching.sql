-- name: refetch
UPDATE product SET state = 'queued', replaces = :replaces, replaces_inode = :inode, path = NULL,
    destination = :destination, staging = NULL, planned = 0,
    s3_path = iif(path_source = 'listing', s3_path, NULL), path_source = iif(path_source = 'listing', 'listing', NULL),
    choice = iif(partial, choice, NULL),  -- a copy of the whole product is not replaced by a part
    path_refuted = 0, attempts = 0, transient_failures = 0, deaths = 0, refusals = 0, refused_at = NULL,
    refused_for_s = 0, offered_again = 0, cause = :cause, code = NULL, changed_at = :at
WHERE id = :id AND state IN ('done', 'already_present') AND path = :path
RETURNING id
