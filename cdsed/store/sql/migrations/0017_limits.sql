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

-- By default, requests count as those of the end of their step.
ALTER TABLE traffic_step ADD COLUMN within_1_s INTEGER NOT NULL DEFAULT 0;  -- of the requests, those of its first second
ALTER TABLE traffic_step ADD COLUMN within_2_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE traffic_step ADD COLUMN within_3_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE traffic_step ADD COLUMN within_4_s INTEGER NOT NULL DEFAULT 0;
