-- name: add
INSERT INTO drain (account, since_at) VALUES (:account, :at) ON CONFLICT (account) DO NOTHING RETURNING account

-- name: remove
DELETE FROM drain WHERE account = :account RETURNING account

-- name: all
SELECT account, since_at, done_at FROM drain ORDER BY account

-- What is begun and not paused is still to be finished; an account is also busy while it holds a session.
-- name: done
WITH begun AS (  -- each by its index: a million products may be in other states
    SELECT state, held, changed_at, account_group, place FROM product WHERE state = 'downloading'
    UNION ALL
    SELECT state, held, changed_at, account_group, place FROM product WHERE state = 'verifying' AND process IS NOT NULL)
SELECT account FROM drain
WHERE done_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM session WHERE process IS NOT NULL AND drain.account IN ('', session.account))
  AND NOT EXISTS (SELECT 1 FROM begun WHERE held = 0
                  AND (drain.account = '' OR (state = 'downloading' AND changed_at <= since_at
                       AND account_group = (SELECT account_group FROM account WHERE name = drain.account)))
                  AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'all'
                                  OR (kind = 'group' AND name = begun.account_group)
                                  OR (kind = 'disk' AND name = begun.place)))

-- name: note_done
UPDATE drain SET done_at = :at WHERE account IN (SELECT value FROM json_each(:accounts))
