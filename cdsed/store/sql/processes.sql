-- name: register
INSERT INTO process (name, pid, lock, started_at) VALUES (:name, :pid, :lock, :started_at) RETURNING id

-- name: all
SELECT id, name, pid, lock, started_at FROM process

-- name: older
SELECT count(*) FROM process WHERE started_at < :at

-- name: forget
DELETE FROM process WHERE id = :id

-- name: sessions_of
SELECT account, slot, fence FROM session WHERE process = :id

-- Charge a worker's death to the products it was at: those it held a piece, a plan or a verification of.
-- name: charge_death
UPDATE product SET deaths = deaths + 1
WHERE state IN ('downloading', 'verifying')
  AND (process = :id
       OR id IN (SELECT product FROM piece
                 WHERE fence IN (SELECT fence FROM session WHERE process = :id)))

-- name: any_suspect
SELECT 1 FROM product WHERE deaths > 0 LIMIT 1

-- name: poisoned
SELECT id, safename FROM product WHERE deaths > 0 AND deaths >= :deaths_max AND state IN ('downloading', 'verifying')

-- name: take_over_mark
UPDATE piece SET written_bytes = min(:done_bytes, size_bytes - 1) WHERE id = :piece AND fence = :fence

-- name: release_pieces
UPDATE piece SET fence = NULL WHERE fence IN (SELECT fence FROM session WHERE process = :id)

-- name: release_sessions
UPDATE session SET process = NULL, fence = NULL, since_at = NULL, rest_until_s = :rest_until_s WHERE process = :id

-- name: release_objects
UPDATE object SET process = NULL WHERE process = :id

-- name: release_resolving
UPDATE product SET state = 'queued', process = NULL, fence = NULL, changed_at = :at
WHERE process = :id AND state = 'resolving'

-- Verification begins anew; what is on disk stays.
-- name: release_verifying
UPDATE product SET state = 'downloading', process = NULL, fence = NULL, changed_at = :at
WHERE process = :id AND state = 'verifying'

-- name: release_planning
UPDATE product SET state = 'ready', process = NULL, fence = NULL, changed_at = :at
WHERE process = :id AND state = 'downloading'

-- name: daemon_started
INSERT INTO daemon (id, pid, started_at, stopped_at, booted_at, version, once)
VALUES (1, :pid, :at, NULL, :booted_at, :version, :once)
ON CONFLICT (id) DO UPDATE SET pid = excluded.pid, started_at = excluded.started_at, stopped_at = NULL,
    booted_at = excluded.booted_at, version = excluded.version, once = excluded.once

-- name: daemon_stopped
UPDATE daemon SET stopped_at = :at WHERE id = 1

-- name: daemon
SELECT pid, started_at, stopped_at, booted_at, version, once FROM daemon WHERE id = 1

-- name: reset_due
UPDATE product SET due_s = 0 WHERE due_s IS NOT NULL

-- name: reset_pieces_due
UPDATE piece SET due_s = 0 WHERE due_s > 0

-- name: reset_written
UPDATE piece SET written_bytes = 0 WHERE written_bytes > 0

-- name: reset_breakers
UPDATE breaker SET until_s = 0

-- name: reset_rests
UPDATE session SET rest_until_s = 0

-- name: reset_restraints
UPDATE restraint SET since_s = 0, grows_s = min(grows_s, 0)

-- name: reset_steps
DELETE FROM traffic_step
