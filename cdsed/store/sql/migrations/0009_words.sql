-- The standard words for states, columns and error codes. A constraint cannot be changed in place, so the tables that
-- name a state in one are made again; the migration runs without foreign keys, and they are checked at its end.

ALTER TABLE restraint RENAME TO throttle;
ALTER TABLE denial RENAME TO access_denial;
ALTER TABLE piece RENAME COLUMN setbacks TO transient_failures;
ALTER TABLE listing RENAME COLUMN present TO already_present;

CREATE TABLE new_remark (                               -- every line of a listing that was not simply accepted
    listing INTEGER NOT NULL REFERENCES listing (id),
    line INTEGER NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('duplicate', 'known', 'already_present', 'rejected')),
    safename TEXT,
    text TEXT NOT NULL,
    PRIMARY KEY (listing, line)
) STRICT, WITHOUT ROWID;
INSERT INTO new_remark
SELECT listing, line, CASE verdict WHEN 'present' THEN 'already_present' ELSE verdict END, safename, text FROM remark;
DROP TABLE remark;
ALTER TABLE new_remark RENAME TO remark;

CREATE TEMP TABLE renamed (former TEXT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO renamed VALUES ('waiting', 'retry_wait'), ('present', 'already_present'), ('missing', 'unavailable');
CREATE TEMP TABLE renamed_code (former TEXT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO renamed_code VALUES
    ('NotTheObject', 'UnexpectedObject'), ('CutBody', 'TruncatedBody'), ('HostileKey', 'UnsafePath'),
    ('StrangeHost', 'UntrustedRedirect'), ('BadCopy', 'VerificationFailed'), ('NothingAllowed', 'NoReadPermission'),
    ('BadAnswer', 'InvalidResponse'), ('NotS3', 'ProxyResponse');

DROP VIEW ready_place;
DROP TRIGGER product_moves_as_allowed;
DROP TRIGGER product_moved;
DROP TRIGGER product_recounted;
DROP TRIGGER product_came;
DROP TRIGGER product_wanted;

CREATE TABLE new_product (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    safename TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait',
                                         'done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')),
    account_group TEXT NOT NULL,
    priority INTEGER NOT NULL,
    outputdir TEXT,                                     -- NULL: the spools
    product_id TEXT,                                    -- the catalogue's
    s3_path TEXT,
    path_source TEXT CHECK (path_source IN ('listing', 'name', 'catalogue')),
    path_refuted INTEGER NOT NULL DEFAULT 0 CHECK (path_refuted IN (0, 1)),  -- S3 has nothing at the path of its name
    md5 TEXT,                                           -- the catalogue's, of the single object
    size_bytes INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,                -- failures that the product is charged with
    transient_failures INTEGER NOT NULL DEFAULT 0,      -- failures in a row that it is not charged with
    deaths INTEGER NOT NULL DEFAULT 0,                  -- workers that died over it since it last advanced
    due_s REAL,
    planned INTEGER NOT NULL DEFAULT 0 CHECK (planned IN (0, 1)),
    destination TEXT,                                   -- the directory it will appear in
    staging TEXT,                                       -- the directory it is put together in
    path TEXT,                                          -- where it is, when it is complete
    cause TEXT,
    code TEXT,                                          -- short word for the cause, for counting
    process INTEGER REFERENCES process (id),            -- who resolves, plans or verifies it just now
    fence INTEGER,
    changed_at REAL NOT NULL,
    refusals INTEGER NOT NULL DEFAULT 0,                -- rounds in a row in which all accounts got a 403
    refused_at REAL,                                    -- the end of the first of these rounds
    refused_for_s REAL NOT NULL DEFAULT 0,              -- the pauses between them, added up
    offered_again INTEGER NOT NULL DEFAULT 0,           -- the catalogue was asked since they lasted
    -- Where it will be written, as far as that is known: it waits while that place is paused.
    place TEXT GENERATED ALWAYS AS (coalesce(destination, outputdir, 'unknown')) VIRTUAL,
    CHECK ((state = 'retry_wait') = (due_s IS NOT NULL)),
    CHECK (state NOT IN ('done', 'already_present') OR path IS NOT NULL),
    CHECK (state NOT IN ('unavailable', 'corrupt', 'failed') OR cause IS NOT NULL),
    CHECK (state NOT IN ('resolving', 'verifying') OR process IS NOT NULL),
    CHECK (planned = 0 OR (destination IS NOT NULL AND staging IS NOT NULL)),
    CHECK ((s3_path IS NULL) = (path_source IS NULL)),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT;
INSERT INTO new_product (
    id, safename, state, account_group, priority, outputdir, product_id, s3_path, path_source, path_refuted, md5,
    size_bytes, attempts, transient_failures, deaths, due_s, planned, destination, staging, path, cause, code, process,
    fence, changed_at, refusals, refused_at, refused_for_s, offered_again)
SELECT
    id, safename, coalesce((SELECT name FROM renamed WHERE former = state), state), account_group, priority, outputdir,
    product_id, s3_path, path_source, path_refuted, md5, size_bytes, attempts, setbacks, deaths, due_s, planned,
    destination, staging, whereabouts, cause, coalesce((SELECT name FROM renamed_code WHERE former = code), code),
    process, fence, changed_at, refusals, refused_at, refused_for_s, offered_again
FROM product;
DELETE FROM sqlite_sequence WHERE name = 'new_product';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_product', seq FROM sqlite_sequence WHERE name = 'product';
DROP TABLE product;
ALTER TABLE new_product RENAME TO product;
CREATE INDEX product_queued ON product (path_refuted, priority DESC, id) WHERE state = 'queued';
CREATE INDEX product_downloading ON product (account_group, priority DESC, id) WHERE state = 'downloading';
CREATE INDEX product_by_place ON product (account_group, place, priority DESC, id) WHERE state = 'ready';
CREATE INDEX product_due ON product (due_s) WHERE due_s IS NOT NULL;
CREATE INDEX product_suspect ON product (id) WHERE deaths > 0;
CREATE INDEX product_claimed ON product (process) WHERE process IS NOT NULL;
CREATE INDEX product_with_error ON product (changed_at) WHERE code IS NOT NULL;

UPDATE transition SET origin = coalesce((SELECT name FROM renamed WHERE former = origin), origin),
    target = coalesce((SELECT name FROM renamed WHERE former = target), target);
UPDATE event SET origin = (SELECT name FROM renamed WHERE former = origin)
WHERE origin IN (SELECT former FROM renamed);
UPDATE event SET target = (SELECT name FROM renamed WHERE former = target)
WHERE target IN (SELECT former FROM renamed);
UPDATE tally SET state = (SELECT name FROM renamed WHERE former = state) WHERE state IN (SELECT former FROM renamed);
UPDATE breaker SET code = (SELECT name FROM renamed_code WHERE former = code)
WHERE code IN (SELECT former FROM renamed_code);

CREATE VIEW ready_place (account_group, place) AS       -- the places at which products are ready
WITH RECURSIVE step (account_group, place) AS (         -- without looking at each product
    SELECT account_group, (SELECT min(place) FROM product
                           WHERE state = 'ready' AND product.account_group = named.account_group)
    FROM (SELECT DISTINCT account_group FROM account) AS named
    UNION ALL
    SELECT account_group, (SELECT min(place) FROM product
                           WHERE state = 'ready' AND product.account_group = step.account_group
                             AND product.place > step.place)
    FROM step WHERE place IS NOT NULL
)
SELECT account_group, place FROM step WHERE place IS NOT NULL;

CREATE TRIGGER product_moves_as_allowed BEFORE UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    SELECT raise(ABORT, 'this transition is not allowed')
    WHERE NOT EXISTS (SELECT 1 FROM transition WHERE origin = OLD.state AND target = NEW.state);
END;

CREATE TRIGGER product_moved AFTER UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, OLD.state, NEW.state, NEW.attempts, NEW.cause);
    DELETE FROM event WHERE product = NEW.id
      AND id <= (SELECT id FROM event WHERE product = NEW.id ORDER BY id DESC LIMIT 1 OFFSET 32);
END;

CREATE TRIGGER product_recounted AFTER UPDATE OF state, size_bytes ON product
WHEN OLD.state <> NEW.state OR OLD.size_bytes IS NOT NEW.size_bytes
BEGIN
    UPDATE tally SET products = products - 1, size_bytes = size_bytes - coalesce(OLD.size_bytes, 0)
    WHERE state = OLD.state
      AND listing IN (SELECT 0 UNION ALL SELECT listing FROM want WHERE product = NEW.id);
    INSERT INTO tally (listing, state, products, size_bytes)
    SELECT listing, NEW.state, 1, coalesce(NEW.size_bytes, 0)
    FROM (SELECT 0 AS listing UNION ALL SELECT listing FROM want WHERE product = NEW.id)
    WHERE true
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;

CREATE TRIGGER product_came AFTER INSERT ON product
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, NULL, NEW.state, 0, NEW.cause);
    INSERT INTO tally (listing, state, products, size_bytes) VALUES (0, NEW.state, 1, coalesce(NEW.size_bytes, 0))
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;

CREATE TRIGGER product_wanted AFTER INSERT ON want
BEGIN
    INSERT INTO tally (listing, state, products, size_bytes)
    SELECT NEW.listing, state, 1, coalesce(size_bytes, 0) FROM product WHERE id = NEW.product
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;

DROP TABLE renamed;
DROP TABLE renamed_code;
