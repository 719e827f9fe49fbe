-- Standing queries: how far each has come, what it has seen, and runs whose files may not be written yet.
CREATE TABLE standing_query (                           -- a query of the settings, and how far it has come
    name TEXT PRIMARY KEY,
    mark_at REAL NOT NULL,                              -- newest publication or change that it has seen
    mark_assumed INTEGER NOT NULL CHECK (mark_assumed IN (0, 1)),  -- 1: by our clock, the catalogue gave none yet
    deleted_at REAL NOT NULL,                           -- newest deletion that it has seen
    anchor_at REAL NOT NULL,                            -- its schedule counts from here; 0: it is due
    ran_at REAL,                                        -- end of the last run that succeeded
    found INTEGER NOT NULL DEFAULT 0,                   -- products in its listings
    found_last INTEGER NOT NULL DEFAULT 0,
    listing TEXT,                                       -- the last one
    failures INTEGER NOT NULL DEFAULT 0,                -- in a row
    error TEXT,
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    requested INTEGER NOT NULL DEFAULT 0 CHECK (requested IN (0, 1))  -- a person wants a run now
) STRICT, WITHOUT ROWID;

CREATE TABLE query_run (                                -- a run whose listing and report may not be written yet
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    query TEXT NOT NULL,
    listing TEXT NOT NULL,
    report TEXT NOT NULL                                -- JSON
) STRICT;

CREATE TABLE query_product (                            -- what a query has seen of a product in the catalogue
    query TEXT NOT NULL,
    product_id TEXT NOT NULL,
    safename TEXT NOT NULL,
    md5 TEXT,
    changed_at REAL NOT NULL,                           -- published or modified, the later one
    deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    run INTEGER,                                        -- its listing is to be written; NULL: nothing is to be done
    s3_path TEXT,
    PRIMARY KEY (query, product_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX query_product_to_list ON query_product (run, product_id) WHERE run IS NOT NULL;
CREATE INDEX query_product_old ON query_product (query, changed_at);
