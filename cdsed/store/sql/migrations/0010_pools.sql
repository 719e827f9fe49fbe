-- Accounts of one organisation may share quotas, and a session may wait for one.

ALTER TABLE account ADD COLUMN shares_volume INTEGER NOT NULL DEFAULT 0 CHECK (shares_volume IN (0, 1));
ALTER TABLE account ADD COLUMN shares_requests INTEGER NOT NULL DEFAULT 0 CHECK (shares_requests IN (0, 1));
ALTER TABLE account ADD COLUMN pool_sessions INTEGER CHECK (pool_sessions > 0);  -- of its whole group; NULL: not shared
ALTER TABLE session ADD COLUMN waits_for TEXT CHECK (waits_for = 'requests');  -- while leased; NULL: for no quota
