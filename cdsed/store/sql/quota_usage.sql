-- Quota is reserved when work is handed out: the bytes of a session's pieces, and the requests that it has claimed.
-- The usage of a shared quota is that of the whole group (views `peer` and `counted`).
-- name: usages
WITH traffic (name, bytes, requests) AS MATERIALIZED (
    SELECT name, (SELECT sum(bytes) FROM traffic_hour WHERE traffic_hour.account = name
                                            AND hour BETWEEN :oldest_hour AND :newest_hour),
           (SELECT sum(requests - iif(step > :oldest_step, 0, CASE :second WHEN 0 THEN 0 WHEN 1 THEN within_1_s
                                   WHEN 2 THEN within_2_s WHEN 3 THEN within_3_s ELSE within_4_s END)) FROM traffic_step
            WHERE traffic_step.account = name AND step BETWEEN :oldest_step AND :step)
    FROM (SELECT DISTINCT name FROM counted WHERE counted.account = coalesce(:account, counted.account))),
used (account, bytes, requests) AS (
    SELECT counted.account, sum(iif(counted.volume, traffic.bytes, 0)), sum(iif(counted.requests, traffic.requests, 0))
    FROM counted JOIN traffic USING (name) WHERE counted.account = coalesce(:account, counted.account)
    GROUP BY counted.account),
leased (account, slot, login, requests, bytes) AS MATERIALIZED (
    SELECT session.account, session.slot, session.login, session.requests,
           (SELECT coalesce(sum(size_bytes - done_bytes), 0) FROM piece WHERE piece.fence = session.fence)
    FROM session WHERE process IS NOT NULL),
flight (account, held, requests, bytes, in_pool) AS (
    SELECT account, sum(own), sum(iif(by_requests, requests, 0)), sum(iif(volume, bytes, 0)), count(*)
    FROM (SELECT peer.account, max(peer.own) AS own, max(peer.volume) AS volume, max(peer.requests) AS by_requests,
                 leased.requests, leased.bytes
          FROM peer JOIN leased ON leased.account = peer.name OR (leased.login = peer.login AND peer.login <> '')
          WHERE peer.account = coalesce(:account, peer.account)
          GROUP BY peer.account, leased.account, leased.slot)
    GROUP BY account)
SELECT account.name, account.account_group, account.has_keys, account.key_expires_at,
       account.requests_per_minute, account.volume_bytes, account.bandwidth_bytes_per_s,
       account.shares_volume, account.shares_requests, account.pool_sessions,
       (SELECT count(*) FROM session WHERE session.account = account.name AND enabled = 1) AS sessions,
       coalesce(used.bytes, 0) AS used_bytes, coalesce(used.requests, 0) AS requests,
       coalesce(flight.held, 0) AS held, coalesce(flight.requests, 0) AS claimed_requests,
       coalesce(flight.bytes, 0) AS claimed_bytes,
       -- Connections that were closed just now count: the service may still see them.
       iif(account.pool_sessions IS NULL, 0, coalesce(flight.in_pool, 0)
           + (SELECT count(*) FROM session JOIN peer ON peer.name = session.account AND peer.account = account.name
              WHERE session.process IS NULL AND session.rest_until_s > :now_s)) AS held_in_pool,
       (SELECT count(*) FROM session WHERE session.account = account.name AND process IS NOT NULL
        AND leased_s >= max(breaker.until_s, :hangs_since_s)) AS probes,
       throttle.cause, throttle.sessions AS session_limit, throttle.grows_s,
       breaker.until_s, breaker.code, breaker.reason
FROM account
LEFT JOIN used ON used.account = account.name
LEFT JOIN flight ON flight.account = account.name
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
