-- name: add_account
INSERT INTO account (name, account_group, listed, requests_per_minute, volume_bytes, key_expires_at, has_keys)
VALUES (:name, :account_group, 1, :requests_per_minute, :volume_bytes, :key_expires_at, :has_keys)
ON CONFLICT (name) DO UPDATE SET account_group = excluded.account_group, listed = 1,
    requests_per_minute = excluded.requests_per_minute, volume_bytes = excluded.volume_bytes,
    key_expires_at = excluded.key_expires_at, has_keys = excluded.has_keys

-- name: set_has_keys
UPDATE account SET has_keys = :has_keys WHERE name = :account

-- name: has_keys
SELECT has_keys FROM account WHERE name = :account

-- name: unlist_accounts
UPDATE account SET listed = 0

-- name: add_session
INSERT INTO session (account, slot) VALUES (:account, :slot)
ON CONFLICT (account, slot) DO UPDATE SET enabled = 1

-- name: disable_sessions
UPDATE session SET enabled = 0 WHERE account = :account AND slot > :sessions

-- Sessions that are free now, of accounts that may be used now, in groups where a product asks for one.
-- An account whose breaker is open passes one probe when its time is over: only if it holds nothing else.
-- Busy accounts come last, so that load spreads; then the one with most of its volume left.
-- name: free_sessions
SELECT session.account, session.slot, session.fence
FROM session
JOIN account ON account.name = session.account
LEFT JOIN breaker ON breaker.name = 'account:' || account.name AND breaker.open = 1
LEFT JOIN traffic_minute ON traffic_minute.minute = :minute AND traffic_minute.account = account.name
WHERE session.process IS NULL AND session.enabled = 1 AND session.rest_until_s <= :now_s
  AND account.listed = 1 AND account.has_keys = 1
  AND (account.key_expires_at IS NULL OR account.key_expires_at > :now)
  AND account.account_group IN (SELECT value FROM json_each(:groups))
  AND coalesce(traffic_minute.requests, 0) < account.requests_per_minute
  AND (breaker.name IS NULL
       OR (breaker.until_s <= :now_s
           AND NOT EXISTS (SELECT 1 FROM session AS other
                           WHERE other.account = account.name AND other.process IS NOT NULL)))
  AND (SELECT coalesce(sum(bytes), 0) FROM traffic_hour
       WHERE traffic_hour.account = account.name AND hour > :oldest_hour) < account.volume_bytes
ORDER BY (SELECT count(*) FROM session AS other
          WHERE other.account = account.name AND other.process IS NOT NULL),
         (SELECT coalesce(sum(bytes), 0) FROM traffic_hour
          WHERE traffic_hour.account = account.name AND hour > :oldest_hour) * 1.0 / account.volume_bytes,
         session.slot

-- name: service_breaker
SELECT open, until_s, (SELECT count(*) FROM session WHERE process IS NOT NULL) AS held
FROM breaker WHERE name = 'service:s3'

-- name: forget_troubles
DELETE FROM breaker WHERE name LIKE 'account:%'

-- name: next_fence
UPDATE fence SET value = value + 1 WHERE id = 1 RETURNING value

-- name: take
UPDATE session SET process = :process, fence = :fence, since_at = :at
WHERE account = :account AND slot = :slot AND process IS NULL AND enabled = 1 AND rest_until_s <= :now_s
RETURNING fence

-- name: account_group
SELECT account_group FROM account WHERE name = :account

-- name: give_back_pieces
UPDATE piece SET fence = NULL WHERE fence = :fence

-- name: give_back
UPDATE session SET process = NULL, fence = NULL, since_at = NULL, rest_until_s = :rest_until_s
WHERE account = :account AND slot = :slot AND fence = :fence

-- name: allowed
SELECT session.enabled = 1 AND account.listed = 1
       AND (account.key_expires_at IS NULL OR account.key_expires_at > :now)
       AND coalesce((SELECT requests FROM traffic_minute WHERE minute = :minute AND account = account.name), 0)
           < account.requests_per_minute
       AND NOT EXISTS (SELECT 1 FROM breaker WHERE name IN ('account:' || account.name, 'service:s3')
                       AND open = 1 AND until_s > :now_s)
       AND (SELECT coalesce(sum(bytes), 0) FROM traffic_hour
            WHERE traffic_hour.account = account.name AND hour > :oldest_hour) < account.volume_bytes AS allowed
FROM session JOIN account ON account.name = session.account
WHERE session.account = :account AND session.slot = :slot AND session.fence = :fence

-- name: add_minute
INSERT INTO traffic_minute (account, minute, requests, bytes) VALUES (:account, :minute, :requests, :bytes)
ON CONFLICT (minute, account) DO UPDATE SET requests = requests + excluded.requests, bytes = bytes + excluded.bytes

-- name: add_hour
INSERT INTO traffic_hour (account, hour, requests, bytes) VALUES (:account, :hour, :requests, :bytes)
ON CONFLICT (account, hour) DO UPDATE SET requests = requests + excluded.requests, bytes = bytes + excluded.bytes

-- name: forget_minutes
DELETE FROM traffic_minute WHERE minute < :minute

-- name: forget_hours
DELETE FROM traffic_hour WHERE hour < :hour

-- name: delivered
SELECT coalesce(sum(bytes), 0) FROM traffic_hour WHERE account = :account
