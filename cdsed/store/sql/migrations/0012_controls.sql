-- What people control while the daemon runs.

CREATE TABLE pause (                                    -- what begins no transfer until it is resumed
    kind TEXT NOT NULL CHECK (kind IN ('all', 'listing', 'account', 'group', 'disk')),
    name TEXT NOT NULL,                                 -- of a listing: its id; of a disk: its directory; of all: ''
    source TEXT NOT NULL CHECK (source IN ('person', 'window')),
    since_at REAL NOT NULL,
    until_at REAL,                                      -- NULL: until a person resumes it
    PRIMARY KEY (kind, name, source)
) STRICT, WITHOUT ROWID;
