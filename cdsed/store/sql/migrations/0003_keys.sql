-- What is known of the S3 key that an account uses: enough to say why S3 refuses it, and nothing secret.
CREATE TABLE s3_key (
    account TEXT PRIMARY KEY,
    mark TEXT NOT NULL,                                 -- sixteen bits of a digest: tells one key from the next
    since_at REAL NOT NULL,                             -- first used
    worked_at REAL                                      -- last accepted by S3, to the minute; NULL: never
) STRICT, WITHOUT ROWID;
