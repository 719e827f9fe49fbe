-- name: add_account
INSERT INTO account (name, account_group, listed, requests_per_minute, volume_bytes, key_expires_at, has_keys,
                     bandwidth_bytes_per_s, login, shares_volume, shares_requests, pool_sessions)
VALUES (:name, :account_group, 1, :requests_per_minute, :volume_bytes, :key_expires_at, :has_keys,
        :bandwidth_bytes_per_s, :login, :shares_volume, :shares_requests, :pool_sessions)
ON CONFLICT (name) DO UPDATE SET account_group = excluded.account_group, listed = 1,
    requests_per_minute = excluded.requests_per_minute, volume_bytes = excluded.volume_bytes,
    key_expires_at = excluded.key_expires_at, has_keys = excluded.has_keys,
    bandwidth_bytes_per_s = excluded.bandwidth_bytes_per_s, login = excluded.login,
    shares_volume = excluded.shares_volume, shares_requests = excluded.shares_requests,
    pool_sessions = excluded.pool_sessions

-- The last account that could try a product has left the accounts file: let the remaining accounts try it again, so
-- that the product is finished.
-- name: forget_last_denials
DELETE FROM access_denial WHERE NOT EXISTS (
    SELECT 1 FROM product JOIN account USING (account_group)
    WHERE product.id = access_denial.product AND account.listed = 1
      AND account.name NOT IN (SELECT refused.account FROM access_denial AS refused WHERE refused.product = access_denial.product))

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

-- name: free_sessions
SELECT session.account, slot, account.login FROM session JOIN account ON account.name = session.account
WHERE process IS NULL AND enabled = 1 AND rest_until_s <= :now_s
  AND session.account IN (SELECT value FROM json_each(:accounts))
  AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'all' OR (kind = 'account' AND name = session.account)
                  OR (kind = 'group' AND name = account_group))
  AND NOT EXISTS (  -- drained, and nothing that was begun before is left
      SELECT 1 FROM drain WHERE drain.account IN ('', session.account)
      AND NOT EXISTS (SELECT 1 FROM product WHERE state = 'downloading' AND planned = 1
                      AND product.account_group = account.account_group AND changed_at <= drain.since_at))

-- name: rest_ends_s
SELECT min(rest_until_s) FROM session WHERE process IS NULL AND enabled = 1 AND rest_until_s > :now_s

-- name: service_breaker
SELECT open, until_s, (SELECT count(*) FROM session WHERE process IS NOT NULL
                       AND leased_s >= max(breaker.until_s, :hangs_since_s)) AS probes
FROM breaker WHERE name = 'service:s3'

-- name: close_breakers
DELETE FROM breaker WHERE name LIKE 'account:%' OR name IN ('service:catalogue', 'service:zip')

-- name: forget_throttles
DELETE FROM throttle

-- name: next_fence
UPDATE fence SET value = value + 1 WHERE id = 1 RETURNING value

-- name: take
UPDATE session SET process = :process, fence = :fence, since_at = :at, leased_s = :now_s, login = :login, requests = 1,
    hold_s = 0
WHERE account = :account AND slot = :slot AND process IS NULL AND enabled = 1 AND rest_until_s <= :now_s
RETURNING fence

-- name: release_pieces
UPDATE piece SET fence = NULL WHERE fence = :fence

-- Its connection may be on another machine, and open for so long without any news of it.
-- name: hold
UPDATE session SET rest_until_s = :now_s + :hold_s, hold_s = :hold_s, machine = :machine
WHERE account = :account AND slot = :slot AND fence = :fence
RETURNING fence

-- name: is_held
SELECT 1 FROM session WHERE account = :account AND slot = :slot AND fence = :fence AND hold_s > 0

-- A connection that is not known to be closed keeps its session for as long as it may be open.
-- name: count_claims
INSERT INTO traffic_step (account, step, requests, bytes)
SELECT account, :step, requests, 0 FROM session WHERE fence = :fence
ON CONFLICT (account, step) DO UPDATE SET requests = requests + excluded.requests

-- name: release
UPDATE session SET process = NULL, fence = NULL, since_at = NULL, requests = 0, waits_for = NULL, product = NULL,
    received_bytes = 0, rest_until_s = iif(:closed, :rest_until_s, max(rest_until_s, :rest_until_s)),
    hold_s = iif(:closed, 0, hold_s)
WHERE account = :account AND slot = :slot AND fence = :fence

-- name: held
SELECT requests, (SELECT count(*) FROM session AS other
        WHERE other.account = session.account AND other.enabled = 1 AND other.fence < session.fence) AS older,
       (SELECT count(*) FROM session AS other JOIN account ON account.name = other.account
        WHERE account.account_group = :account_group AND other.fence < session.fence) AS older_in_pool
FROM session
WHERE account = :account AND slot = :slot AND fence = :fence AND enabled = 1
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE name IN ('account:' || session.account, 'service:s3')
                  AND open = 1 AND until_s > :now_s)
  AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'all' OR (kind = 'account' AND name = session.account)
                  OR (kind = 'group' AND name = (SELECT account_group FROM account WHERE name = session.account)))

-- name: claimed
SELECT requests FROM session WHERE account = :account AND slot = :slot AND fence = :fence

-- name: claim
UPDATE session SET requests = :requests, waits_for = NULL WHERE account = :account AND slot = :slot AND fence = :fence

-- name: wait_for_requests
UPDATE session SET waits_for = 'requests'
WHERE account = :account AND slot = :slot AND fence = :fence AND waits_for IS NULL

-- Requests that were sent count as traffic from now on, so the claim gets smaller.
-- name: sent
UPDATE session SET requests = max(0, requests - :requests), received_bytes = received_bytes + :bytes
WHERE account = :account AND slot = :slot AND fence = :fence

-- name: add_received
INSERT INTO received (product, step, bytes)
SELECT product, :step, :bytes FROM session
WHERE account = :account AND slot = :slot AND fence = :fence AND product IS NOT NULL
ON CONFLICT (product, step) DO UPDATE SET bytes = bytes + excluded.bytes

-- name: add_step
INSERT INTO traffic_step (account, step, requests, bytes, within_1_s, within_2_s, within_3_s, within_4_s)
VALUES (:account, :step, :requests, :bytes, iif(:second < 1, :requests, 0), iif(:second < 2, :requests, 0),
        iif(:second < 3, :requests, 0), iif(:second < 4, :requests, 0))
ON CONFLICT (account, step) DO UPDATE SET requests = requests + excluded.requests, bytes = bytes + excluded.bytes,
    within_1_s = within_1_s + excluded.within_1_s, within_2_s = within_2_s + excluded.within_2_s,
    within_3_s = within_3_s + excluded.within_3_s, within_4_s = within_4_s + excluded.within_4_s

-- name: add_hour
INSERT INTO traffic_hour (account, hour, requests, bytes) VALUES (:account, :hour, :requests, :bytes)
ON CONFLICT (account, hour) DO UPDATE SET requests = requests + excluded.requests, bytes = bytes + excluded.bytes

-- name: forget_steps
DELETE FROM traffic_step WHERE step NOT BETWEEN :oldest AND :newest

-- name: forget_received
DELETE FROM received WHERE step NOT BETWEEN :oldest AND :newest

-- name: forget_hours
DELETE FROM traffic_hour WHERE hour < :hour

-- name: delivered
SELECT coalesce(sum(bytes), 0) FROM traffic_hour WHERE account = :account
