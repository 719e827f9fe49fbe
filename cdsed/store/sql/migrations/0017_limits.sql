-- Limits of bandwidth, for the machine, a group or an account; connections on other machines.

CREATE TABLE bandwidth_limit (                          -- the bandwidth that the settings allow now
    kind TEXT NOT NULL CHECK (kind IN ('machine', 'group', 'account')),
    name TEXT NOT NULL,                                 -- '' for the machine
    bytes_per_s INTEGER NOT NULL CHECK (bytes_per_s > 0),
    until_at REAL,                                      -- when the settings change it; NULL: they do not
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

ALTER TABLE session ADD COLUMN hold_s REAL NOT NULL DEFAULT 0;  -- how long a connection on another machine may outlive news
