CREATE TABLE crash_loop (                               -- workers that crash again and again, as the supervisor sees them
    worker TEXT PRIMARY KEY,
    crashes INTEGER NOT NULL CHECK (crashes > 0),       -- since it was well
    ending TEXT NOT NULL,                               -- how it ended last, in words
    code INTEGER,                                       -- its exit code; NULL: a signal, or it cannot be started
    start_s REAL                                        -- boot-clock second of its next start; NULL: it runs
) STRICT, WITHOUT ROWID;
