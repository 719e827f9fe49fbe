-- name: all
SELECT name, heard_at, workers, idle, at_work, rate_bytes_per_s, received_bytes, worker_sees_s, daemon_sees_s, refused,
       drain_at, drained_at
FROM machine WHERE heard_at IS NOT NULL ORDER BY name

-- name: lost
SELECT machine, why, grants, last_at FROM lost_grant ORDER BY machine, grants DESC, why

-- Sessions whose connection may still be open, until then.
-- name: kept
SELECT machine, count(*) AS sessions, max(rest_until_s) AS until_s FROM session
WHERE process IS NULL AND hold_s > 0 AND rest_until_s > :now_s AND machine IS NOT NULL GROUP BY machine

-- name: any
SELECT 1 FROM machine LIMIT 1

-- A daemon begins: of the machines that are drained, it has to be remembered.
-- name: begin
UPDATE machine SET workers = 0, idle = 0, at_work = 0, rate_bytes_per_s = 0, refused = NULL,
    heard_at = iif(:used, heard_at, NULL)

-- name: forget
DELETE FROM machine WHERE drain_at IS NULL AND workers = 0 AND refused IS NULL AND (heard_at IS NULL OR heard_at < :heard_before)

-- name: forget_lost
DELETE FROM lost_grant WHERE machine NOT IN (SELECT name FROM machine)

-- What does not change is not written, so a machine whose workers are gone was heard until now.
-- name: note
INSERT INTO machine (name, heard_at, workers, idle, at_work, rate_bytes_per_s, received_bytes, worker_sees_s,
                     daemon_sees_s, refused)
VALUES (:name, :at, :workers, :idle, :at_work, :rate_bytes_per_s, :received_bytes, :worker_sees_s, :daemon_sees_s,
        :refused)
ON CONFLICT (name) DO UPDATE SET heard_at = iif(:workers OR workers OR :refused IS NOT NULL OR heard_at IS NULL, :at, heard_at), workers = :workers,
    idle = :idle, at_work = :at_work, rate_bytes_per_s = :rate_bytes_per_s,
    received_bytes = received_bytes + :received_bytes,
    worker_sees_s = coalesce(:worker_sees_s, worker_sees_s), daemon_sees_s = coalesce(:daemon_sees_s, daemon_sees_s),
    refused = :refused

-- name: note_lost
INSERT INTO lost_grant (machine, why, grants, last_at) VALUES (:machine, :why, :grants, :at)
ON CONFLICT (machine, why) DO UPDATE SET grants = grants + :grants, last_at = :at

-- name: drains
SELECT name, drained_at FROM machine WHERE drain_at IS NOT NULL

-- name: drain
UPDATE machine SET drain_at = :at, drained_at = NULL WHERE name = :name AND drain_at IS NULL RETURNING name

-- name: resume
UPDATE machine SET drain_at = NULL, drained_at = NULL WHERE name = :name AND drain_at IS NOT NULL RETURNING name

-- name: note_drained
UPDATE machine SET drained_at = :at WHERE name = :name AND drain_at IS NOT NULL AND drained_at IS NULL
