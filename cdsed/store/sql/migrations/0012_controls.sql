-- What people control while the daemon runs.

CREATE TABLE pause (                                    -- what begins no transfer until it is resumed
    kind TEXT NOT NULL CHECK (kind IN ('all', 'listing', 'account', 'group', 'disk')),
    name TEXT NOT NULL,                                 -- of a listing: its id; of a disk: its directory; of all: ''
    source TEXT NOT NULL CHECK (source IN ('person', 'window')),
    since_at REAL NOT NULL,
    until_at REAL,                                      -- NULL: until a person resumes it
    PRIMARY KEY (kind, name, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE resumed (                                  -- pauses of windows that a person ended before their time
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    until_at REAL,                                      -- the end of the window; NULL: until a person pauses it again
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE drain (                                    -- what begins no new product, but finishes those in transfer
    account TEXT PRIMARY KEY,                           -- '': all accounts
    since_at REAL NOT NULL,
    done_at REAL                                        -- when nothing of it was left in transfer; NULL: not yet
) STRICT, WITHOUT ROWID;

CREATE TABLE command (                                  -- what people commanded; the daemon copies it to its log
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    owner TEXT,
    text TEXT NOT NULL,
    logged INTEGER NOT NULL DEFAULT 0 CHECK (logged IN (0, 1))
) STRICT;

ALTER TABLE listing ADD COLUMN cancelled_at REAL;  -- by a person; NULL: not
-- Triggers keep `held` right, because it is looked at whenever work is handed out.
ALTER TABLE product ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));  -- 1: all open listings that want it are paused
ALTER TABLE product ADD COLUMN cancels INTEGER NOT NULL DEFAULT 0
    CHECK (cancels = 0 OR state IN ('ready', 'downloading', 'verifying', 'retry_wait'));  -- 1: cancelled when all its bytes had arrived, so the disk decides whether it was published first
ALTER TABLE product ADD COLUMN replaces TEXT;  -- the published copy that it replaces when it is verified
ALTER TABLE product ADD COLUMN replaces_inode INTEGER CHECK ((replaces IS NULL) = (replaces_inode IS NULL));  -- of that copy

INSERT INTO transition (origin, target) VALUES ('verifying', 'cancelled');

CREATE INDEX product_cancelling ON product (id) WHERE cancels = 1;
CREATE INDEX product_cancelled ON product (id) WHERE state = 'cancelled' AND staging IS NOT NULL;
CREATE INDEX product_held ON product (id) WHERE held = 1;

DROP VIEW ready_place;
DROP INDEX product_by_place;
CREATE INDEX product_by_place ON product (account_group, held, place, priority DESC, id) WHERE state = 'ready';
CREATE VIEW ready_place (account_group, place) AS       -- the places at which products are ready and not held
WITH RECURSIVE step (account_group, place) AS (         -- without looking at each product
    SELECT account_group, (SELECT min(place) FROM product
                           WHERE state = 'ready' AND product.account_group = named.account_group AND held = 0)
    FROM (SELECT DISTINCT account_group FROM account) AS named
    UNION ALL
    SELECT account_group, (SELECT min(place) FROM product
                           WHERE state = 'ready' AND product.account_group = step.account_group AND held = 0
                             AND product.place > step.place)
    FROM step WHERE place IS NOT NULL
)
SELECT account_group, place FROM step
WHERE place IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pause WHERE kind = 'disk' AND name = place);

-- The listings for which a product is fetched, and whether each is paused.
CREATE VIEW open_want (product, listing, paused) AS
SELECT want.product, listing.id,
       EXISTS (SELECT 1 FROM pause WHERE kind = 'listing' AND name = CAST(listing.id AS TEXT))
FROM want JOIN listing ON listing.id = want.listing
WHERE listing.state IN ('taking', 'open') AND listing.cancelled_at IS NULL;

CREATE TRIGGER listing_paused AFTER INSERT ON pause WHEN NEW.kind = 'listing'
BEGIN
    UPDATE product SET held = 1
    WHERE id IN (SELECT product FROM want WHERE listing = CAST(NEW.name AS INTEGER)) AND held = 0
      AND (SELECT min(paused) FROM open_want WHERE open_want.product = product.id) = 1;
END;

CREATE TRIGGER listing_resumed AFTER DELETE ON pause WHEN OLD.kind = 'listing'
BEGIN
    UPDATE product SET held = 0
    WHERE id IN (SELECT product FROM want WHERE listing = CAST(OLD.name AS INTEGER)) AND held = 1
      AND coalesce((SELECT min(paused) FROM open_want WHERE open_want.product = product.id), 0) = 0;
END;

CREATE TRIGGER listing_wants AFTER INSERT ON want WHEN EXISTS (SELECT 1 FROM pause WHERE kind = 'listing')
BEGIN
    UPDATE product SET held = coalesce((SELECT min(paused) FROM open_want WHERE open_want.product = NEW.product), 0)
    WHERE id = NEW.product;
END;

CREATE TRIGGER listing_opened_or_closed AFTER UPDATE OF state, cancelled_at ON listing
WHEN (OLD.state <> NEW.state OR OLD.cancelled_at IS NOT NEW.cancelled_at)
     AND EXISTS (SELECT 1 FROM pause WHERE kind = 'listing')
BEGIN
    DELETE FROM pause WHERE kind = 'listing' AND name = CAST(NEW.id AS TEXT)
        AND (NEW.state IN ('reported', 'refused') OR NEW.cancelled_at IS NOT NULL);
    UPDATE product SET held = 1 - held
    WHERE id IN (SELECT product FROM want WHERE listing = NEW.id)
      AND held <> coalesce((SELECT min(paused) FROM open_want WHERE open_want.product = product.id), 0);
END;

-- A person has ended this window: it does not begin a second time.
CREATE TRIGGER window_was_resumed BEFORE INSERT ON pause
WHEN NEW.source = 'window' AND EXISTS (SELECT 1 FROM resumed WHERE kind = NEW.kind AND name = NEW.name)
BEGIN
    SELECT raise(IGNORE);
END;
