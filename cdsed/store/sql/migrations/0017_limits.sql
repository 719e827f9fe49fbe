-- Limits of bandwidth, for the machine, a group or an account. The requests of the minute by the second. Connections on
-- other machines.

CREATE TABLE bandwidth_limit (                          -- the bandwidth that the settings allow now
    kind TEXT NOT NULL CHECK (kind IN ('machine', 'group', 'account')),
    name TEXT NOT NULL,                                 -- '' for the machine
    bytes_per_s INTEGER NOT NULL CHECK (bytes_per_s > 0),
    until_at REAL,                                      -- when the settings change it; NULL: they do not
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

ALTER TABLE session ADD COLUMN hold_s REAL NOT NULL DEFAULT 0;  -- how long a connection on another machine may outlive news

ALTER TABLE session ADD COLUMN machine TEXT;  -- where that connection is; NULL: none was

CREATE TABLE machine (                                  -- where workers of Dask run, as the daemon hears of them
    name TEXT PRIMARY KEY,
    heard_at REAL,                                      -- when one was last heard; NULL: the settings have no Dask
    workers INTEGER NOT NULL DEFAULT 0,                 -- that run now
    idle INTEGER NOT NULL DEFAULT 0,                    -- their processes without a connection
    at_work INTEGER NOT NULL DEFAULT 0,                 -- and with one
    rate_bytes_per_s REAL NOT NULL DEFAULT 0,           -- mean of the last minute
    received_bytes INTEGER NOT NULL DEFAULT 0,          -- since it is known
    worker_sees_s REAL,                                 -- so late its worker sees a new file of the daemon; NULL: unknown
    daemon_sees_s REAL,                                 -- and the daemon one of its worker
    refused TEXT,                                       -- why it gets no connection; NULL: it may
    drain_at REAL,                                      -- when a person drained it; NULL: it is not drained
    drained_at REAL                                     -- since when nothing is at work there; NULL: not yet
) STRICT, WITHOUT ROWID;

CREATE TABLE lost_grant (                               -- connections that were not closed in order
    machine TEXT NOT NULL,
    why TEXT NOT NULL CHECK (why IN ('holder_died', 'no_answer', 'silent', 'head_died')),
    grants INTEGER NOT NULL,                            -- how many, since the machine is known
    last_at REAL NOT NULL,
    PRIMARY KEY (machine, why)
) STRICT, WITHOUT ROWID;

-- By default, requests count as those of the end of their step.
ALTER TABLE traffic_step ADD COLUMN within_1_s INTEGER NOT NULL DEFAULT 0;  -- of the requests, those of its first second
ALTER TABLE traffic_step ADD COLUMN within_2_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE traffic_step ADD COLUMN within_3_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE traffic_step ADD COLUMN within_4_s INTEGER NOT NULL DEFAULT 0;

-- Connections of one login count together, under any name.
CREATE INDEX session_by_login ON session (login);
