-- name: keep_hook
INSERT INTO hook (name, products, listings, alarms, groups, patterns)
VALUES (:name, :products, :listings, :alarms, :groups, :patterns)
ON CONFLICT (name) DO UPDATE
SET products = excluded.products, listings = excluded.listings, alarms = excluded.alarms, groups = excluded.groups,
    patterns = excluded.patterns

-- name: forget_hooks
DELETE FROM hook WHERE name NOT IN (SELECT value FROM json_each(:names))

-- name: forget_events
DELETE FROM hook_event WHERE hook NOT IN (SELECT value FROM json_each(:names))

-- name: forget_alarms
DELETE FROM alarm WHERE NOT EXISTS (SELECT 1 FROM hook WHERE alarms = 1)

-- name: state
SELECT name, delivered, delivered_at, failures, error, retries_requested,
       (SELECT count(*) FROM hook_event WHERE hook_event.hook = hook.name AND given_up_at IS NULL) AS waiting,
       (SELECT count(*) FROM hook_event WHERE hook_event.hook = hook.name AND given_up_at IS NOT NULL) AS given_up
FROM hook ORDER BY name

-- Of the batches that were tried: the one with the fewest attempts first, so that one that is always refused stops no
-- other one.
-- name: batches
SELECT batch, max(attempts) AS attempts FROM hook_event
WHERE hook = :hook AND batch IS NOT NULL AND given_up_at IS NULL
GROUP BY batch ORDER BY attempts, batch LIMIT 1000

-- name: untried
SELECT count(*) AS events, min(id) AS first FROM
    (SELECT id FROM hook_event
     WHERE hook = :hook AND batch IS NULL AND given_up_at IS NULL AND (alarm IS NULL OR NOT (at > :young_since AND at <= :now_at))
     LIMIT :most)

-- name: form
UPDATE hook_event SET batch = :batch
WHERE id IN (SELECT id FROM hook_event
             WHERE hook = :hook AND batch IS NULL AND given_up_at IS NULL
               AND (alarm IS NULL OR NOT (at > :young_since AND at <= :now_at))
             ORDER BY id LIMIT :most)

-- name: of_batch
SELECT id, kind, at, facts FROM hook_event
WHERE hook = :hook AND batch = :batch AND given_up_at IS NULL ORDER BY id

-- name: delivered
DELETE FROM hook_event WHERE hook = :hook AND batch = :batch AND given_up_at IS NULL

-- name: note_delivery
UPDATE hook SET delivered = delivered + :events, delivered_at = :at, failures = 0, error = NULL WHERE name = :hook

-- name: attempted
UPDATE hook_event SET attempts = attempts + 1 WHERE hook = :hook AND batch = :batch AND given_up_at IS NULL

-- name: split
UPDATE hook_event SET batch = id WHERE hook = :hook AND batch = :batch AND given_up_at IS NULL

-- name: note_failure
UPDATE hook SET failures = failures + 1, error = :error WHERE name = :hook RETURNING failures

-- name: give_up
UPDATE hook_event SET given_up_at = :at
WHERE hook = :hook AND given_up_at IS NULL
  AND ((at < :before AND attempts > 0) OR attempts >= :attempts_max
       OR id <= coalesce((SELECT id FROM hook_event WHERE hook = :hook AND given_up_at IS NULL
                          ORDER BY id DESC LIMIT 1 OFFSET :pending_max), 0))
RETURNING id

-- name: forget_given_up
DELETE FROM hook_event
WHERE hook = :hook AND given_up_at IS NOT NULL
  AND (given_up_at < :before
       OR id <= coalesce((SELECT id FROM hook_event WHERE hook = :hook AND given_up_at IS NOT NULL
                          ORDER BY id DESC LIMIT 1 OFFSET :pending_max), 0))

-- name: revive
UPDATE hook_event SET given_up_at = NULL, attempts = 0, batch = NULL
WHERE hook = :hook AND given_up_at IS NOT NULL RETURNING id

-- name: request_retry
UPDATE hook SET retries_requested = retries_requested + 1 WHERE name = :hook RETURNING name

-- name: retries_requested
SELECT retries_requested FROM hook WHERE name = :hook

-- name: test
INSERT INTO hook_event (hook, kind, at, facts) VALUES (:hook, 'test', :at, '{}') RETURNING id

-- name: attempts_of
SELECT attempts FROM hook_event WHERE id = :event

-- name: alarms
SELECT key, facts FROM alarm

-- name: raise_alarm
INSERT INTO alarm (key, facts, since_at) VALUES (:key, :facts, :at)

-- name: make_worse
UPDATE alarm SET key = :key, facts = :facts WHERE key = :before

-- name: end_alarm
DELETE FROM alarm WHERE key = :key

-- A hook that has not been given the end of the same alarm yet knows of it.
-- name: alarm_came
INSERT INTO hook_event (hook, kind, at, facts, alarm)
SELECT name, 'person_needed', :at, :facts, :alarm FROM hook
WHERE alarms = 1 AND NOT EXISTS (SELECT 1 FROM hook_event WHERE hook_event.hook = hook.name AND alarm = :alarm
                                 AND kind = 'back_to_normal' AND batch IS NULL AND given_up_at IS NULL)

-- name: withdraw_end
DELETE FROM hook_event
WHERE alarm = :alarm AND kind = 'back_to_normal' AND batch IS NULL AND given_up_at IS NULL

-- name: say_worse
UPDATE hook_event SET facts = :facts
WHERE alarm IN (:alarm, :worse) AND kind = 'person_needed' AND batch IS NULL AND given_up_at IS NULL

-- name: alarm_worse
INSERT INTO hook_event (hook, kind, at, facts, alarm)
SELECT name, 'person_needed', :at, :facts, :worse FROM hook
WHERE alarms = 1 AND NOT EXISTS (SELECT 1 FROM hook_event WHERE hook_event.hook = hook.name
                                 AND alarm IN (:alarm, :worse) AND kind = 'person_needed' AND batch IS NULL
                                 AND given_up_at IS NULL)

-- A hook that has not been given the alarm at all does not hear of its end.
-- name: alarm_went
INSERT INTO hook_event (hook, kind, at, facts, alarm)
SELECT name, 'back_to_normal', :at, :facts, :alarm FROM hook
WHERE alarms = 1 AND NOT EXISTS (SELECT 1 FROM hook_event WHERE hook_event.hook = hook.name AND alarm = :alarm
                                 AND kind = 'person_needed' AND batch IS NULL AND given_up_at IS NULL)

-- An alarm that ends before a hook was given it.
-- name: withdraw
DELETE FROM hook_event
WHERE alarm IN (:alarm, :worse) AND kind = 'person_needed' AND batch IS NULL AND given_up_at IS NULL
