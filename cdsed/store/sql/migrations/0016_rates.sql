-- What the status needs to know of transfers, times to go and disks.

-- The beginning of its name, without the unit and the dates: products of one kind need about as many requests and bytes.
ALTER TABLE product ADD COLUMN kind TEXT GENERATED ALWAYS AS (
    substr(safename, 1, 2) || substr(safename, 4, iif(instr(safename, '_20') > 4, instr(safename, '_20') - 4, 4))) VIRTUAL;
-- It has all columns that the errors of the last day need, so that none of these products is looked up.
DROP INDEX product_with_error;
CREATE INDEX product_with_error ON product (changed_at, state, code, due_s) WHERE code IS NOT NULL;

ALTER TABLE session ADD COLUMN product INTEGER REFERENCES product (id);   -- that it plans or fetches
ALTER TABLE session ADD COLUMN received_bytes INTEGER NOT NULL DEFAULT 0; -- of this product, by this lease
ALTER TABLE daemon ADD COLUMN stalled_after_s REAL NOT NULL DEFAULT 60;   -- a longer silence of a connection ends it

CREATE TABLE received (                                 -- bytes of one product in one step of 5 s, for the last minutes
    product INTEGER NOT NULL REFERENCES product (id),
    step INTEGER NOT NULL,                              -- since boot
    bytes INTEGER NOT NULL,
    PRIMARY KEY (product, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE product_kind (                             -- what one product of a kind needs: means of those planned
    kind TEXT PRIMARY KEY,
    products INTEGER NOT NULL CHECK (products > 0),
    requests REAL NOT NULL,                             -- those that list its objects are included
    size_bytes REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE backlog (                                  -- unfinished products by listing and kind; listing 0 is all
    listing INTEGER NOT NULL,
    kind TEXT NOT NULL,
    products INTEGER NOT NULL,
    sized INTEGER NOT NULL,                             -- those whose size is known
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (listing, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO backlog
SELECT listing, kind, count(*), count(size_bytes), coalesce(sum(size_bytes), 0)
FROM (SELECT 0 AS listing, id AS product FROM product UNION ALL SELECT listing, product FROM want)
JOIN product ON product.id = product
WHERE state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'retry_wait')
GROUP BY listing, kind;

CREATE TABLE last_published (                           -- one row
    id INTEGER PRIMARY KEY CHECK (id = 1),
    product INTEGER NOT NULL REFERENCES product (id),
    at REAL NOT NULL
) STRICT;
INSERT INTO last_published
SELECT 1, id, changed_at FROM product WHERE state = 'done' ORDER BY changed_at DESC LIMIT 1;

CREATE TABLE free_space (                               -- the directories that products are written to
    place TEXT PRIMARY KEY,
    free_bytes INTEGER,                                 -- NULL: it cannot be asked
    error TEXT,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- SQLite builds a table for each `IN` of more than two values, and these triggers run for every product.
CREATE TRIGGER product_joins_backlog AFTER INSERT ON product
WHEN (NEW.state = 'queued' OR NEW.state = 'resolving' OR NEW.state = 'ready'
         OR NEW.state = 'downloading' OR NEW.state = 'verifying' OR NEW.state = 'retry_wait')
BEGIN
    INSERT INTO backlog VALUES (0, NEW.kind, 1, NEW.size_bytes IS NOT NULL, coalesce(NEW.size_bytes, 0))
    ON CONFLICT (listing, kind) DO UPDATE
    SET products = products + 1, sized = sized + excluded.sized, size_bytes = size_bytes + excluded.size_bytes;
END;

CREATE TRIGGER want_joins_backlog AFTER INSERT ON want
BEGIN
    INSERT INTO backlog
    SELECT NEW.listing, kind, 1, size_bytes IS NOT NULL, coalesce(size_bytes, 0) FROM product
    WHERE id = NEW.product AND (state = 'queued' OR state = 'resolving' OR state = 'ready'
         OR state = 'downloading' OR state = 'verifying' OR state = 'retry_wait')
    ON CONFLICT (listing, kind) DO UPDATE
    SET products = products + 1, sized = sized + excluded.sized, size_bytes = size_bytes + excluded.size_bytes;
END;

CREATE TRIGGER product_leaves_backlog AFTER UPDATE OF state, size_bytes, safename ON product
WHEN (OLD.state = 'queued' OR OLD.state = 'resolving' OR OLD.state = 'ready'
         OR OLD.state = 'downloading' OR OLD.state = 'verifying' OR OLD.state = 'retry_wait')
    AND (NOT (NEW.state = 'queued' OR NEW.state = 'resolving' OR NEW.state = 'ready'
         OR NEW.state = 'downloading' OR NEW.state = 'verifying' OR NEW.state = 'retry_wait')
         OR OLD.size_bytes IS NOT NEW.size_bytes OR OLD.kind <> NEW.kind)
BEGIN
    UPDATE backlog SET products = products - 1, sized = sized - (OLD.size_bytes IS NOT NULL),
        size_bytes = size_bytes - coalesce(OLD.size_bytes, 0)
    WHERE kind = OLD.kind AND listing IN (SELECT 0 UNION ALL SELECT listing FROM want WHERE product = NEW.id);
END;

CREATE TRIGGER product_returns_to_backlog AFTER UPDATE OF state, size_bytes, safename ON product
WHEN (NEW.state = 'queued' OR NEW.state = 'resolving' OR NEW.state = 'ready'
         OR NEW.state = 'downloading' OR NEW.state = 'verifying' OR NEW.state = 'retry_wait')
    AND (NOT (OLD.state = 'queued' OR OLD.state = 'resolving' OR OLD.state = 'ready'
         OR OLD.state = 'downloading' OR OLD.state = 'verifying' OR OLD.state = 'retry_wait')
         OR OLD.size_bytes IS NOT NEW.size_bytes OR OLD.kind <> NEW.kind)
BEGIN
    INSERT INTO backlog
    SELECT listing, NEW.kind, 1, NEW.size_bytes IS NOT NULL, coalesce(NEW.size_bytes, 0)
    FROM (SELECT 0 AS listing UNION ALL SELECT listing FROM want WHERE product = NEW.id)
    WHERE true
    ON CONFLICT (listing, kind) DO UPDATE
    SET products = products + 1, sized = sized + excluded.sized, size_bytes = size_bytes + excluded.size_bytes;
END;

CREATE TRIGGER product_is_published_last AFTER UPDATE OF state ON product
WHEN NEW.state = 'done' AND OLD.state <> 'done'
BEGIN
    INSERT INTO last_published VALUES (1, NEW.id, NEW.changed_at)
    ON CONFLICT (id) DO UPDATE SET product = excluded.product, at = excluded.at;
END;
