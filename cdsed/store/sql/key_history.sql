-- name: get
SELECT mark, since_at, worked_at,
       (SELECT key_expires_at FROM account WHERE account.name = s3_key.account) AS expires_at
FROM s3_key WHERE account = :account

-- name: enter
INSERT INTO s3_key (account, mark, since_at) VALUES (:account, :mark, :at)
ON CONFLICT (account) DO UPDATE SET mark = excluded.mark, since_at = excluded.since_at, worked_at = NULL

-- name: worked
UPDATE s3_key SET worked_at = :at WHERE account = :account
