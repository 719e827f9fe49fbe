-- Accounts of one organisation may share quotas, and a session may wait for one.

ALTER TABLE account ADD COLUMN shares_volume INTEGER NOT NULL DEFAULT 0 CHECK (shares_volume IN (0, 1));
ALTER TABLE account ADD COLUMN shares_requests INTEGER NOT NULL DEFAULT 0 CHECK (shares_requests IN (0, 1));
ALTER TABLE account ADD COLUMN pool_sessions INTEGER CHECK (pool_sessions > 0);  -- of its whole group; NULL: not shared
ALTER TABLE session ADD COLUMN waits_for TEXT CHECK (waits_for = 'requests');  -- while leased; NULL: for no quota

-- Whose usage counts for an account: its own and, if its group shares a quota, that of the others in the group, those
-- that have left the accounts file included. `volume` and `requests` tell for which quota.
CREATE VIEW peer (account, name, login, own, volume, requests) AS
SELECT account.name, other.name, other.login, other.name = account.name,
       other.name = account.name OR account.shares_volume, other.name = account.name OR account.shares_requests
FROM account JOIN account AS other ON other.name = account.name
    OR (other.account_group = account.account_group
        AND (account.shares_volume OR account.shares_requests OR account.pool_sessions IS NOT NULL));

-- The names under which that usage was counted: a login may have had another name before.
CREATE VIEW counted (account, name, volume, requests) AS
SELECT peer.account, other.name, max(peer.volume), max(peer.requests)
FROM peer JOIN account AS other ON other.name = peer.name OR (other.login = peer.login AND peer.login <> '')
GROUP BY peer.account, other.name;
