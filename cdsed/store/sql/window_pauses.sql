-- name: of_all
SELECT kind, name, source, since_at, until_at FROM pause WHERE source = 'window' ORDER BY kind, name

-- name: remove_all
DELETE FROM pause WHERE source = 'window'

-- name: remove
DELETE FROM pause WHERE source = 'window' AND kind = :kind AND name = :name

-- name: enter
INSERT INTO pause (kind, name, source, since_at, until_at) VALUES (:kind, :name, 'window', :at, :until_at)
ON CONFLICT (kind, name, source) DO UPDATE SET until_at = excluded.until_at

-- name: extend
UPDATE pause SET until_at = :until_at WHERE source = 'window' AND kind = :kind AND name = :name

-- name: open_listings
SELECT id, name FROM listing WHERE state IN ('taking', 'open')
