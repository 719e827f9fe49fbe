-- name: register
INSERT INTO process (name, pid, lock, started_at) VALUES (:name, :pid, :lock, :started_at) RETURNING id

-- name: all
SELECT id, name, pid, lock, started_at FROM process

-- name: newest
SELECT seq FROM sqlite_sequence WHERE name = 'process'

-- name: older
SELECT count(*) FROM process WHERE started_at < :at

-- name: forget
DELETE FROM process WHERE id = :id

-- name: sessions_of
SELECT account, slot, fence FROM session WHERE process = :id

-- The products a worker works on: it holds a piece, the planning, a digest or the verification of each.
-- name: at_hand
SELECT id FROM product
WHERE state IN ('downloading', 'verifying')
  AND (process = :id
       OR id IN (SELECT product FROM piece
                 WHERE fence IN (SELECT fence FROM session WHERE process = :id))
       OR id IN (SELECT product FROM object WHERE process = :id))

-- Charge a death to the one product that the worker worked on.
-- name: charge_death
UPDATE product SET deaths = deaths + 1
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('ready', 'downloading', 'verifying')

-- The worker worked on several products, or other workers died with it: it is unknown which product was the cause, if
-- any. Each is worked on alone next.
-- name: suspect
UPDATE product SET deaths = max(deaths, 1)
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('ready', 'downloading', 'verifying')

-- name: poisoned
SELECT id FROM product
WHERE id IN (SELECT value FROM json_each(:ids)) AND deaths >= :deaths_max
  AND state IN ('ready', 'downloading', 'verifying')

-- name: take_over_resume_point
UPDATE piece SET written_bytes = min(:done_bytes, size_bytes - 1) WHERE id = :piece AND fence = :fence

-- Leases whose connections may be on other machines.
-- name: held_elsewhere
SELECT fence FROM session WHERE process = :id AND hold_s > 0

-- name: release_pieces
UPDATE piece SET fence = NULL WHERE fence IN (SELECT fence FROM session WHERE process = :id)

-- A dead worker may have sent the requests that it had claimed: count them as sent.
-- name: count_claims
INSERT INTO traffic_step (account, step, requests, bytes)
SELECT account, :step, sum(requests), 0 FROM session WHERE process = :id GROUP BY account
ON CONFLICT (account, step) DO UPDATE SET requests = requests + excluded.requests

-- name: count_lost_grants
INSERT INTO lost_grant (machine, why, grants, last_at)
SELECT machine, 'head_died', count(*), :at FROM session
WHERE process = :id AND hold_s > 0 AND machine IS NOT NULL GROUP BY machine
ON CONFLICT (machine, why) DO UPDATE SET grants = grants + excluded.grants, last_at = excluded.last_at

-- A connection on another machine may outlive the worker.
-- name: release_sessions
UPDATE session SET process = NULL, fence = NULL, since_at = NULL, requests = 0, waits_for = NULL, product = NULL,
    received_bytes = 0, rest_until_s = max(rest_until_s, :rest_until_s)
WHERE process = :id

-- name: release_objects
UPDATE object SET process = NULL WHERE process = :id

-- name: release_resolving
UPDATE product SET state = 'queued', process = NULL, fence = NULL, changed_at = :at
WHERE process = :id AND state = 'resolving'

-- Verification starts again; the files on disk stay.
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

-- name: stalls_after
UPDATE daemon SET stalled_after_s = :stalled_after_s

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
UPDATE session SET rest_until_s = iif(hold_s > 0, :now_s + hold_s, 0)

-- name: reset_throttles
UPDATE throttle SET since_s = 0, grows_s = min(grows_s, 0)

-- name: reset_steps
DELETE FROM traffic_step

-- name: reset_received
DELETE FROM received
