-- Quota is reserved when work is handed out: the bytes of a session's pieces, and the requests that it has claimed.
-- What counts for an account is its own, that of its login under any name, and of a shared quota that of the whole group,
-- as in the views `peer` and `counted`. They are not used here: each part of such a query that SQLite materializes costs
-- 20 us, and this one is asked for each piece of work.
-- name: usages
SELECT account.name, account.account_group, account.has_keys, account.key_expires_at,
       account.requests_per_minute, account.volume_bytes, account.bandwidth_bytes_per_s,
       account.shares_volume, account.shares_requests, account.pool_sessions,
       (SELECT count(*) FROM session WHERE session.account = account.name AND enabled = 1) AS sessions,
       (SELECT coalesce(sum(bytes), 0) FROM account AS other
        CROSS JOIN traffic_hour ON traffic_hour.account = other.name AND hour BETWEEN :oldest_hour AND :newest_hour
        WHERE (other.name = account.name OR (other.login = account.login AND account.login <> '')
                OR (account.shares_volume AND EXISTS (SELECT 1 FROM account AS peer WHERE peer.account_group = account.account_group
                    AND (peer.name = other.name OR (peer.login = other.login AND peer.login <> '')))))) AS used_bytes,
       (SELECT coalesce(sum(requests - iif(step > :oldest_step, 0, CASE :second WHEN 0 THEN 0 WHEN 1 THEN within_1_s
                            WHEN 2 THEN within_2_s WHEN 3 THEN within_3_s ELSE within_4_s END)), 0) FROM account AS other
        CROSS JOIN traffic_step ON traffic_step.account = other.name AND step BETWEEN :oldest_step AND :step
        WHERE (other.name = account.name OR (other.login = account.login AND account.login <> '')
                OR (account.shares_requests AND EXISTS (SELECT 1 FROM account AS peer WHERE peer.account_group = account.account_group
                    AND (peer.name = other.name OR (peer.login = other.login AND peer.login <> '')))))) AS requests,
       (SELECT count(*) FROM session WHERE process IS NOT NULL
        AND (session.account = account.name OR (session.login = account.login AND account.login <> ''))) AS held,
       (SELECT coalesce(sum(requests), 0) FROM session WHERE process IS NOT NULL
        AND (session.account = account.name OR (session.login = account.login AND account.login <> '')))
       + iif(account.shares_requests, (SELECT coalesce(sum(requests), 0) FROM session WHERE process IS NOT NULL
             AND session.account <> account.name AND (session.login <> account.login OR account.login = '')
             AND EXISTS (SELECT 1 FROM account AS peer WHERE peer.account_group = account.account_group
                 AND (peer.name = session.account OR (peer.login = session.login AND peer.login <> '')))), 0) AS claimed_requests,
       (SELECT coalesce(sum(size_bytes - done_bytes), 0) FROM session CROSS JOIN piece ON piece.fence = session.fence
        WHERE process IS NOT NULL
        AND (session.account = account.name OR (session.login = account.login AND account.login <> '')))
       + iif(account.shares_volume, (SELECT coalesce(sum(size_bytes - done_bytes), 0)
             FROM session CROSS JOIN piece ON piece.fence = session.fence WHERE process IS NOT NULL
             AND session.account <> account.name AND (session.login <> account.login OR account.login = '')
             AND EXISTS (SELECT 1 FROM account AS peer WHERE peer.account_group = account.account_group
                 AND (peer.name = session.account OR (peer.login = session.login AND peer.login <> '')))), 0) AS claimed_bytes,
       -- Connections that were closed just now count: the service may still see them.
       iif(account.pool_sessions IS NULL, 0,
           (SELECT count(*) FROM session WHERE process IS NOT NULL
            AND (session.account = account.name OR (session.login = account.login AND account.login <> '')
                OR (account.pool_sessions AND EXISTS (SELECT 1 FROM account AS peer WHERE peer.account_group = account.account_group
                    AND (peer.name = session.account OR (peer.login = session.login AND peer.login <> ''))))))
           + (SELECT count(*) FROM session JOIN peer ON peer.name = session.account AND peer.account = account.name
              WHERE session.process IS NULL AND session.rest_until_s > :now_s)) AS held_in_pool,
       (SELECT count(*) FROM session WHERE session.account = account.name AND process IS NOT NULL
        AND leased_s >= max(breaker.until_s, :hangs_since_s)) AS probes,
       throttle.cause, throttle.sessions AS session_limit, throttle.grows_s,
       breaker.until_s, breaker.code, breaker.reason
FROM account
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
