-- What the service has taught us of an account's sessions, and its traffic in steps short enough for a sliding minute.

ALTER TABLE account ADD COLUMN bandwidth_bytes_per_s INTEGER;  -- our own ceiling per connection

CREATE TABLE restraint (                                -- accounts that may use fewer sessions than they have
    account TEXT PRIMARY KEY REFERENCES account (name),
    cause TEXT NOT NULL CHECK (cause IN ('throttled', 'shared', 'penalised')),
    sessions INTEGER NOT NULL CHECK (sessions > 0),
    fence INTEGER NOT NULL,                             -- leases up to this one were in flight at the last decrease
    since_s REAL NOT NULL,                              -- the last decrease
    grows_s REAL                                        -- NULL: nothing has been delivered since
) STRICT, WITHOUT ROWID;

CREATE TABLE traffic_step (
    account TEXT NOT NULL,
    step INTEGER NOT NULL,                              -- of 5 s, since boot
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (account, step)
) STRICT, WITHOUT ROWID;
