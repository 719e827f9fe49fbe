-- name: get
SELECT name, failures, open, until_s, code, reason, since_at FROM breaker WHERE name = :name

-- name: any
SELECT 1 FROM breaker LIMIT 1

-- name: fail
INSERT INTO breaker (name, failures, open, until_s, code, reason, since_at)
VALUES (:name, 1, 0, 0, :code, :reason, :at)
ON CONFLICT (name) DO UPDATE SET failures = failures + 1, code = excluded.code, reason = excluded.reason
RETURNING failures

-- name: open
UPDATE breaker SET open = 1, until_s = max(until_s, :until_s) WHERE name = :name

-- name: hasten
UPDATE breaker SET until_s = 0 WHERE name = :name

-- name: close
DELETE FROM breaker WHERE name = :name
