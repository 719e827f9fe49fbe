-- name: of_all
SELECT kind, name, bytes_per_s, until_at FROM bandwidth_limit ORDER BY kind <> 'machine', kind <> 'group', name

-- name: remove
DELETE FROM bandwidth_limit WHERE kind = :kind AND name = :name

-- name: enter
INSERT INTO bandwidth_limit (kind, name, bytes_per_s, until_at) VALUES (:kind, :name, :bytes_per_s, :until_at)
ON CONFLICT (kind, name) DO UPDATE SET bytes_per_s = excluded.bytes_per_s, until_at = excluded.until_at
