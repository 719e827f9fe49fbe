-- name: add_denial
INSERT INTO access_denial (product, account) VALUES (:id, :account) ON CONFLICT DO NOTHING

-- Accounts that could still try: not refused, with a working key, and without an open breaker. A breaker with one of
-- the codes below closes without your help, so it does not exclude the account: the product must not end unavailable.
-- name: accounts_left
SELECT count(*) FROM account
WHERE account_group = :account_group AND listed = 1 AND has_keys = 1
  AND (key_expires_at IS NULL OR key_expires_at > :now)
  AND name NOT IN (SELECT account FROM access_denial WHERE product = :id)
  AND NOT EXISTS (SELECT 1 FROM breaker WHERE breaker.name = 'account:' || account.name AND open = 1
                  AND code NOT IN ('Throttled', 'ThrottledElsewhere', 'KeyNotYetValid', 'KeysManager', 'TooManySessions',
                                   'RequestTimeTooSkewed'))

-- Has each account that was refused this product read something else since the refusals began?
-- name: reads_others
SELECT NOT EXISTS (
    SELECT 1 FROM access_denial JOIN account ON account.name = access_denial.account AND account.listed = 1
    WHERE access_denial.product = :id
      AND NOT EXISTS (SELECT 1 FROM traffic_hour WHERE traffic_hour.account = access_denial.account AND bytes > 0
                      AND hour >= :since_hour))

-- name: get
SELECT refusals, refused_at, refused_for_s, offered_again FROM product WHERE id = :id

-- name: last_failure
SELECT code, refusals FROM product WHERE id = :id

-- name: count
UPDATE product SET refusals = refusals + 1, refused_at = coalesce(refused_at, :at),
    refused_for_s = refused_for_s + :pause_s
WHERE id = :id

-- name: offered_again
UPDATE product SET offered_again = 1 WHERE id = :id

-- name: forget_denials
DELETE FROM access_denial WHERE product = :id
