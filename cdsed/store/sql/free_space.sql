-- name: note
INSERT INTO free_space (place, free_bytes, error, at) VALUES (:place, :free_bytes, :error, :at)
ON CONFLICT (place) DO UPDATE SET free_bytes = excluded.free_bytes, error = excluded.error, at = excluded.at

-- name: due
SELECT 1 FROM free_space WHERE place = :place AND at BETWEEN :since AND :now

-- name: forget_others
DELETE FROM free_space WHERE place NOT IN (SELECT value FROM json_each(:places))

-- name: all
SELECT free_space.place, free_bytes, error, at,
       (SELECT reason FROM breaker WHERE name = 'disk:' || place AND open = 1 AND until_s > :now_s) AS reason
FROM free_space ORDER BY place
