-- name: text
SELECT text FROM notice WHERE name = :name

-- name: since
SELECT since_at FROM notice WHERE name = :name

-- name: enter
INSERT INTO notice (name, text, since_at) VALUES (:name, :text, :at)
ON CONFLICT (name) DO UPDATE SET text = excluded.text, since_at = excluded.since_at

-- name: withdraw
DELETE FROM notice WHERE name = :name

-- name: beginning_with
SELECT name FROM notice WHERE substr(name, 1, length(:start)) = :start

-- name: active
SELECT name, text, since_at FROM notice
WHERE (name <> 'recovered' OR since_at > :recovered_after)
  AND (:running OR NOT (name IN ('inbox', 'reload', 'web', 'engine') OR name LIKE 'spool:%' OR name LIKE 'others:%'
                        OR name LIKE 'shared:%' OR name LIKE 'query:%' OR name LIKE 'hook:%'))
ORDER BY since_at DESC, name
