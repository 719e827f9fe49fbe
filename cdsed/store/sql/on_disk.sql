-- name: page
SELECT id AS position, safename, path, partial, size_bytes, changed_at FROM product
WHERE id > :after AND state IN ('done', 'already_present') ORDER BY id LIMIT :most
