-- Quota is reserved when work is handed out: the bytes of a session's pieces, and the requests that it has claimed.
-- For a login that had another name before, the usage under the former name counts too.
-- name: usages
WITH namesake (account, name) AS (
    SELECT account.name, other.name FROM account
    JOIN account AS other ON other.name = account.name OR (other.login = account.login AND other.login <> ''))
SELECT account.name, account.account_group, account.has_keys, account.key_expires_at,
       account.requests_per_minute, account.volume_bytes,
       (SELECT count(*) FROM session WHERE session.account = account.name AND enabled = 1) AS sessions,
       (SELECT coalesce(sum(bytes), 0) FROM namesake JOIN traffic_hour ON traffic_hour.account = namesake.name
        WHERE namesake.account = account.name AND hour > :oldest_hour) AS used_bytes,
       (SELECT coalesce(sum(requests), 0) FROM namesake JOIN traffic_step ON traffic_step.account = namesake.name
        WHERE namesake.account = account.name AND step BETWEEN :oldest_step AND :step) AS requests,
       coalesce(flight.held, 0) AS held, coalesce(flight.requests, 0) AS claimed_requests,
       coalesce(flight.bytes, 0) AS claimed_bytes,
       (SELECT count(*) FROM session WHERE session.account = account.name AND process IS NOT NULL
        AND leased_s >= max(breaker.until_s, :hangs_since_s)) AS probes,
       throttle.cause, throttle.sessions AS session_limit, throttle.grows_s,
       breaker.until_s, breaker.code, breaker.reason
FROM account
LEFT JOIN (SELECT owner.name AS account, count(*) AS held, sum(requests) AS requests, sum(bytes) AS bytes
           FROM account AS owner
           JOIN (SELECT session.account, session.login, session.requests,
                        coalesce(sum(piece.size_bytes - piece.done_bytes), 0) AS bytes
                 FROM session LEFT JOIN piece ON piece.fence = session.fence
                 WHERE session.process IS NOT NULL GROUP BY session.account, session.slot) AS leased
           ON leased.account = owner.name OR (leased.login = owner.login AND owner.login <> '')
           GROUP BY owner.name) AS flight ON flight.account = account.name
LEFT JOIN throttle ON throttle.account = account.name
LEFT JOIN breaker ON breaker.name = 'account:' || account.name AND breaker.open = 1
WHERE account.listed = 1 AND account.name = coalesce(:account, account.name)
ORDER BY account.account_group, account.name

-- name: throttle
SELECT cause, sessions, fence, since_s, grows_s FROM throttle WHERE account = :account

-- name: set_throttle
INSERT INTO throttle (account, cause, sessions, fence, since_s, grows_s)
VALUES (:account, :cause, :sessions, (SELECT value FROM fence), :now_s, NULL)
ON CONFLICT (account) DO UPDATE SET cause = excluded.cause, sessions = excluded.sessions, fence = excluded.fence,
    since_s = excluded.since_s, grows_s = NULL

-- name: grow
UPDATE throttle SET cause = :cause, sessions = :sessions, grows_s = :grows_s WHERE account = :account

-- name: disturb
UPDATE throttle SET grows_s = NULL WHERE account = :account AND cause <> 'penalised'

-- name: lift
DELETE FROM throttle WHERE account = :account

-- name: pace
SELECT coalesce(sum(bytes), 0) AS bytes, coalesce(max(bytes), 0) AS most,
       (SELECT bandwidth_bytes_per_s FROM account WHERE name = :account) AS ceiling
FROM traffic_step WHERE account = :account AND step BETWEEN :step - :steps AND :step - 1

-- Sessions whose connection was closed so recently that the service may still count them.
-- name: resting
SELECT count(*) FROM session WHERE account = :account AND process IS NULL AND rest_until_s > :now_s
