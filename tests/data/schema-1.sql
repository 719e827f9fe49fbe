-- A state of cdsed 0.1.0 (schema 1) with rows in every table, as SQLite dumps it. Never change it.


BEGIN TRANSACTION;

-- Table  account
DROP TABLE IF EXISTS account;
CREATE TABLE account (                                  -- what the accounts file says, without its secrets
    name TEXT PRIMARY KEY,
    account_group TEXT NOT NULL,
    listed INTEGER NOT NULL CHECK (listed IN (0, 1)),   -- 0: no longer in the accounts file
    requests_per_minute INTEGER NOT NULL CHECK (requests_per_minute > 0),
    volume_bytes INTEGER NOT NULL CHECK (volume_bytes > 0),
    key_expires_at REAL,
    has_keys INTEGER NOT NULL CHECK (has_keys IN (0, 1))
) STRICT, WITHOUT ROWID;
INSERT INTO account VALUES('lops-1','default',1,2000,12000000000000,1799000000.0,1);
INSERT INTO account VALUES('lops-2','night',0,2000,12000000000000,NULL,0);
-- Triggers and indices on  account
CREATE INDEX account_by_group ON account (account_group);

-- Table  breaker
DROP TABLE IF EXISTS breaker;
CREATE TABLE breaker (                                  -- what cools down: account:x, service:s3, disk:/spool
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures > 0),
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    until_s REAL NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO breaker VALUES('account:lops-2',3,1,900.0,'InvalidAccessKeyId','account lops-2: the S3 key is unknown',1796000003.0);

-- Table  daemon
DROP TABLE IF EXISTS daemon;
CREATE TABLE daemon (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    stopped_at REAL,                                    -- NULL: running, or died
    booted_at REAL NOT NULL,                            -- UTC instant at which CLOCK_BOOTTIME was 0
    version TEXT NOT NULL,
    once INTEGER NOT NULL DEFAULT 0 CHECK (once IN (0, 1))
) STRICT;
INSERT INTO daemon VALUES(1,4711,1796000000.5,NULL,1795000000.25,'0.1.0',0);

-- Table  denial
DROP TABLE IF EXISTS denial;
CREATE TABLE denial (                                   -- accounts that were refused this product
    product INTEGER NOT NULL REFERENCES product (id),
    account TEXT NOT NULL,
    PRIMARY KEY (product, account)
) STRICT, WITHOUT ROWID;
INSERT INTO denial VALUES(6,'lops-1');

-- Table  event
DROP TABLE IF EXISTS event;
CREATE TABLE event (                                    -- one row per change of state
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    at REAL NOT NULL,
    origin TEXT,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    cause TEXT
) STRICT;
INSERT INTO event VALUES(1,1,1795900001.0,NULL,'present',0,NULL);
INSERT INTO event VALUES(2,2,1795900001.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(3,3,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(4,4,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(5,5,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(6,6,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(7,7,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(8,8,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(9,9,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(10,10,1796000004.0,NULL,'queued',0,NULL);
INSERT INTO event VALUES(11,2,1795900001.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(12,3,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(13,4,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(14,5,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(15,6,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(16,7,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(17,8,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(18,9,1796000004.0,'queued','resolving',0,NULL);
INSERT INTO event VALUES(19,2,1795900001.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(20,3,1796000004.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(21,4,1796000004.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(22,5,1796000004.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(23,6,1796000004.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(24,7,1796000004.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(25,8,1796000004.0,'resolving','ready',0,NULL);
INSERT INTO event VALUES(26,9,1796000004.0,'resolving','missing',0,'deleted by CDSE');
INSERT INTO event VALUES(27,3,1796000004.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(28,4,1796000004.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(29,5,1796000004.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(30,6,1796000004.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(31,7,1796000004.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(32,2,1795900001.0,'ready','downloading',0,NULL);
INSERT INTO event VALUES(33,2,1795900001.0,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(34,4,1796000004.0,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(35,5,1796000004.0,'downloading','verifying',0,NULL);
INSERT INTO event VALUES(36,2,1795900001.0,'verifying','done',0,NULL);
INSERT INTO event VALUES(37,4,1796000004.0,'verifying','corrupt',2,'two identical bad copies');
INSERT INTO event VALUES(38,6,1796000004.0,'downloading','waiting',1,'NoSuchKey');
INSERT INTO event VALUES(39,7,1796000004.0,'downloading','failed',6,'gave up');
-- Triggers and indices on  event
CREATE INDEX event_by_product ON event (product);

-- Table  fence
DROP TABLE IF EXISTS fence;
CREATE TABLE fence (                                    -- the one counter; it only grows
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO fence VALUES(1,1234);

-- Table  listing
DROP TABLE IF EXISTS listing;
CREATE TABLE listing (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL,
    account_group TEXT NOT NULL,
    outputdir TEXT NOT NULL DEFAULT '',                 -- '': the spools
    priority INTEGER NOT NULL,
    name TEXT NOT NULL,
    owner TEXT,
    state TEXT NOT NULL CHECK (state IN ('taking', 'open', 'reported', 'refused')),
    path TEXT NOT NULL,                                 -- where the file itself lies now
    items_taken INTEGER NOT NULL DEFAULT 0,             -- how far its lines are in the database
    accepted INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    known INTEGER NOT NULL DEFAULT 0,
    present INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    ignored INTEGER NOT NULL DEFAULT 0,
    taken_at REAL NOT NULL,
    reported_at REAL,
    reason TEXT,                                        -- why the file as a whole was refused
    CHECK ((state = 'reported') = (reported_at IS NOT NULL))
) STRICT;
INSERT INTO listing VALUES(1,'aa','default','',5,'week12.csv','agathe','reported','/inbox/.accepted/week12.csv',4,2,1,0,0,1,0,1795900000.0,1795990000.0,NULL);
INSERT INTO listing VALUES(2,'bb','night','/data/out',0,'week13.csv',NULL,'open','/inbox/.accepted/night/week13.csv',8,8,0,0,0,0,0,1796000004.0,NULL,NULL);
INSERT INTO listing VALUES(3,'','','',0,'x.pdf',NULL,'refused','/inbox/.rejected/x.pdf',0,0,0,0,0,0,0,1796000005.0,NULL,'it holds NUL bytes');
-- Triggers and indices on  listing
CREATE INDEX listing_by_content ON listing (sha256, account_group, outputdir);
CREATE INDEX listing_unreported ON listing (state) WHERE state IN ('taking', 'open');

-- Table  object
DROP TABLE IF EXISTS object;
CREATE TABLE object (                                   -- what a planned product is made of
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    key TEXT NOT NULL,
    path TEXT NOT NULL,                                 -- below the product's directory
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    etag TEXT NOT NULL,
    md5 TEXT,                                           -- computed while its bytes passed
    sha3_256 TEXT,
    bad_digest TEXT,                                    -- of the copy that failed verification last
    process INTEGER REFERENCES process (id),            -- who computes its digests just now
    UNIQUE (product, path)
) STRICT;
INSERT INTO object VALUES(1,3,'x/P3.SAFE/manifest.safe','manifest.safe',100,'e1','m',NULL,NULL,NULL);
INSERT INTO object VALUES(2,3,'x/P3.SAFE/measurement/a.tiff','measurement/a.tiff',2900,'e2-2',NULL,NULL,'bad',NULL);
-- Triggers and indices on  object
CREATE INDEX object_claimed ON object (process) WHERE process IS NOT NULL;

-- Table  piece
DROP TABLE IF EXISTS piece;
CREATE TABLE piece (                                    -- one ranged GET; fence set: a session is at it
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    first_byte INTEGER NOT NULL CHECK (first_byte >= 0),
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    done_bytes INTEGER NOT NULL DEFAULT 0 CHECK (done_bytes BETWEEN 0 AND size_bytes),  -- on the disk
    written_bytes INTEGER NOT NULL DEFAULT 0,           -- written before a kill; worth nothing after a new boot
    setbacks INTEGER NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0,
    fence INTEGER
) STRICT;
INSERT INTO piece VALUES(1,3,1,0,100,100,0,0,0.0,NULL);
INSERT INTO piece VALUES(2,3,2,0,1000,500,700,1,12.5,1230);
INSERT INTO piece VALUES(3,3,2,1000,1900,0,0,0,0.0,NULL);
-- Triggers and indices on  piece
CREATE INDEX piece_by_object ON piece (object);
CREATE INDEX piece_held ON piece (fence) WHERE fence IS NOT NULL;
CREATE INDEX piece_open ON piece (product, object) WHERE done_bytes < size_bytes;

-- Table  process
DROP TABLE IF EXISTS process;
CREATE TABLE process (                                  -- workers that live, or died and were not yet swept
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    pid INTEGER NOT NULL,
    lock TEXT NOT NULL UNIQUE,                          -- file it holds a flock on: the kernel's word that it lives
    started_at REAL NOT NULL
) STRICT;
INSERT INTO process VALUES(7,'download-1',4713,'/nowhere/process.4713.1.lock',1796000001.0);

-- Table  product
DROP TABLE IF EXISTS product;
CREATE TABLE product (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    safename TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying', 'waiting',
                                         'done', 'present', 'missing', 'corrupt', 'failed', 'cancelled')),
    account_group TEXT NOT NULL,
    priority INTEGER NOT NULL,
    outputdir TEXT,                                     -- NULL: the spools
    product_id TEXT,                                    -- the catalogue's
    s3_path TEXT,
    path_source TEXT CHECK (path_source IN ('listing', 'name', 'catalogue')),
    path_refuted INTEGER NOT NULL DEFAULT 0 CHECK (path_refuted IN (0, 1)),  -- nothing lay where we thought
    md5 TEXT,                                           -- the catalogue's, of the single object
    size_bytes INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    setbacks INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,                  -- workers that died over it since it last advanced
    due_s REAL,
    planned INTEGER NOT NULL DEFAULT 0 CHECK (planned IN (0, 1)),
    destination TEXT,                                   -- the directory it will appear in
    staging TEXT,                                       -- the directory it is put together in
    whereabouts TEXT,                                   -- where it lies
    cause TEXT,
    code TEXT,                                          -- short word for the cause, for counting
    process INTEGER REFERENCES process (id),            -- who resolves, plans or verifies it just now
    fence INTEGER,
    changed_at REAL NOT NULL,
    CHECK ((state = 'waiting') = (due_s IS NOT NULL)),
    CHECK (state NOT IN ('done', 'present') OR whereabouts IS NOT NULL),
    CHECK (state NOT IN ('missing', 'corrupt', 'failed') OR cause IS NOT NULL),
    CHECK (state NOT IN ('resolving', 'verifying') OR process IS NOT NULL),
    CHECK (planned = 0 OR (destination IS NOT NULL AND staging IS NOT NULL)),
    CHECK ((s3_path IS NULL) = (path_source IS NULL)),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT;
INSERT INTO product VALUES(1,'P1.SAFE','present','default',5,NULL,NULL,NULL,NULL,0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,'/spool/P1.SAFE',NULL,NULL,NULL,NULL,1795900001.0);
INSERT INTO product VALUES(2,'P2.SAFE','done','default',5,NULL,'id-2','/eodata/x/P2.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',2000,0,0,0,NULL,0,'/spool','/spool/.cdsed/P2.SAFE','/spool/P2.SAFE',NULL,NULL,NULL,NULL,1795900001.0);
INSERT INTO product VALUES(3,'P3.SAFE','downloading','night',0,'/data/out','id-3','/eodata/x/P3.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',3000,0,0,0,NULL,1,'/data/out','/data/out/.cdsed/P3.SAFE',NULL,NULL,NULL,NULL,NULL,1796000004.0);
INSERT INTO product VALUES(4,'P4.SAFE','corrupt','night',0,'/data/out','id-4','/eodata/x/P4.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',4000,2,0,0,NULL,0,'/data/out','/data/out/.cdsed/P4.SAFE',NULL,'two identical bad copies','BadCopy',NULL,NULL,1796000004.0);
INSERT INTO product VALUES(5,'P5.SAFE','verifying','night',0,'/data/out','id-5','/eodata/x/P5.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',5000,0,0,0,NULL,1,'/data/out','/data/out/.cdsed/P5.SAFE',NULL,NULL,NULL,7,1232,1796000004.0);
INSERT INTO product VALUES(6,'P6.SAFE','waiting','night',0,'/data/out','id-6','/eodata/x/P6.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',6000,1,2,0,777.5,0,'/data/out','/data/out/.cdsed/P6.SAFE',NULL,'NoSuchKey','NoSuchKey',NULL,NULL,1796000004.0);
INSERT INTO product VALUES(7,'P7.SAFE','failed','night',0,'/data/out','id-7','/eodata/x/P7.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',7000,6,0,1,NULL,0,'/data/out','/data/out/.cdsed/P7.SAFE',NULL,'gave up','Changed',NULL,NULL,1796000004.0);
INSERT INTO product VALUES(8,'P8.SAFE','ready','night',0,NULL,'id-8','/eodata/x/P8.SAFE','catalogue',0,'d41d8cd98f00b204e9800998ecf8427e',8000,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1796000004.0);
INSERT INTO product VALUES(9,'P9.SAFE','missing','night',0,NULL,NULL,NULL,NULL,0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,'deleted by CDSE','Deleted',NULL,NULL,1796000004.0);
INSERT INTO product VALUES(10,'P10.SAFE','queued','night',0,NULL,NULL,NULL,NULL,0,NULL,NULL,0,0,0,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1796000004.0);
-- Triggers and indices on  product
CREATE TRIGGER product_came AFTER INSERT ON product
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, NULL, NEW.state, 0, NEW.cause);
    INSERT INTO tally (listing, state, products, size_bytes) VALUES (0, NEW.state, 1, coalesce(NEW.size_bytes, 0))
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;
CREATE INDEX product_claimed ON product (process) WHERE process IS NOT NULL;
CREATE INDEX product_due ON product (due_s) WHERE due_s IS NOT NULL;
CREATE TRIGGER product_moved AFTER UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, OLD.state, NEW.state, NEW.attempts, NEW.cause);
END;
CREATE TRIGGER product_moves_as_allowed BEFORE UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    SELECT raise(ABORT, 'this transition is not allowed')
    WHERE NOT EXISTS (SELECT 1 FROM transition WHERE origin = OLD.state AND target = NEW.state);
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
CREATE INDEX product_suspect ON product (id) WHERE deaths > 0;
CREATE INDEX product_to_work_on ON product (account_group, state, priority DESC, id)
    WHERE state IN ('ready', 'downloading');
CREATE INDEX product_troubled ON product (changed_at) WHERE code IS NOT NULL;
CREATE INDEX product_unsettled ON product (state, priority DESC, id)
    WHERE state IN ('queued', 'resolving', 'ready', 'downloading', 'verifying');

-- Table  remark
DROP TABLE IF EXISTS remark;
CREATE TABLE remark (                                   -- every line of a listing that was not simply accepted
    listing INTEGER NOT NULL REFERENCES listing (id),
    line INTEGER NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('duplicate', 'known', 'present', 'rejected')),
    safename TEXT,
    text TEXT NOT NULL,
    PRIMARY KEY (listing, line)
) STRICT, WITHOUT ROWID;
INSERT INTO remark VALUES(1,3,'duplicate','P1.SAFE','line 1 names it already');
INSERT INTO remark VALUES(1,4,'rejected',NULL,'no product: é漢字');

-- Table  session
DROP TABLE IF EXISTS session;
CREATE TABLE session (                                  -- the right to one connection; held when process is set
    account TEXT NOT NULL REFERENCES account (name),
    slot INTEGER NOT NULL CHECK (slot > 0),
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    process INTEGER REFERENCES process (id),
    fence INTEGER,
    rest_until_s REAL NOT NULL DEFAULT 0,
    since_at REAL,
    PRIMARY KEY (account, slot),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO session VALUES('lops-1',1,1,7,1230,0.0,1796000002.0);
INSERT INTO session VALUES('lops-1',2,1,NULL,NULL,55.5,NULL);
INSERT INTO session VALUES('lops-2',1,0,NULL,NULL,0.0,NULL);
-- Triggers and indices on  session
CREATE INDEX session_by_process ON session (process) WHERE process IS NOT NULL;

-- Table  tally
DROP TABLE IF EXISTS tally;
CREATE TABLE tally (                                    -- products by listing and state; listing 0 is all of them
    listing INTEGER NOT NULL,
    state TEXT NOT NULL,
    products INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (listing, state)
) STRICT, WITHOUT ROWID;
INSERT INTO tally VALUES(0,'corrupt',1,4000);
INSERT INTO tally VALUES(0,'done',1,2000);
INSERT INTO tally VALUES(0,'downloading',1,3000);
INSERT INTO tally VALUES(0,'failed',1,7000);
INSERT INTO tally VALUES(0,'missing',1,0);
INSERT INTO tally VALUES(0,'present',1,0);
INSERT INTO tally VALUES(0,'queued',1,0);
INSERT INTO tally VALUES(0,'ready',1,8000);
INSERT INTO tally VALUES(0,'resolving',0,0);
INSERT INTO tally VALUES(0,'verifying',1,5000);
INSERT INTO tally VALUES(0,'waiting',1,6000);
INSERT INTO tally VALUES(1,'done',1,2000);
INSERT INTO tally VALUES(1,'present',1,0);
INSERT INTO tally VALUES(2,'corrupt',1,4000);
INSERT INTO tally VALUES(2,'downloading',1,3000);
INSERT INTO tally VALUES(2,'failed',1,7000);
INSERT INTO tally VALUES(2,'missing',1,0);
INSERT INTO tally VALUES(2,'queued',1,0);
INSERT INTO tally VALUES(2,'ready',1,8000);
INSERT INTO tally VALUES(2,'verifying',1,5000);
INSERT INTO tally VALUES(2,'waiting',1,6000);

-- Table  traffic_hour
DROP TABLE IF EXISTS traffic_hour;
CREATE TABLE traffic_hour (
    account TEXT NOT NULL,
    hour INTEGER NOT NULL,                              -- UTC hours since the epoch
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (account, hour)
) STRICT, WITHOUT ROWID;
INSERT INTO traffic_hour VALUES('lops-1',498888,1700,98765432100);
INSERT INTO traffic_hour VALUES('lops-2',498888,3,42);

-- Table  traffic_minute
DROP TABLE IF EXISTS traffic_minute;
CREATE TABLE traffic_minute (
    account TEXT NOT NULL,
    minute INTEGER NOT NULL,                            -- UTC minutes since the epoch
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (minute, account)
) STRICT, WITHOUT ROWID;
INSERT INTO traffic_minute VALUES('lops-1',29933333,17,123456789);

-- Table  transition
DROP TABLE IF EXISTS transition;
CREATE TABLE transition (
    origin TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (origin, target)
) STRICT, WITHOUT ROWID;
INSERT INTO transition VALUES('cancelled','queued');
INSERT INTO transition VALUES('corrupt','queued');
INSERT INTO transition VALUES('done','queued');
INSERT INTO transition VALUES('downloading','cancelled');
INSERT INTO transition VALUES('downloading','failed');
INSERT INTO transition VALUES('downloading','missing');
INSERT INTO transition VALUES('downloading','present');
INSERT INTO transition VALUES('downloading','queued');
INSERT INTO transition VALUES('downloading','ready');
INSERT INTO transition VALUES('downloading','verifying');
INSERT INTO transition VALUES('downloading','waiting');
INSERT INTO transition VALUES('failed','queued');
INSERT INTO transition VALUES('missing','queued');
INSERT INTO transition VALUES('present','queued');
INSERT INTO transition VALUES('queued','cancelled');
INSERT INTO transition VALUES('queued','present');
INSERT INTO transition VALUES('queued','resolving');
INSERT INTO transition VALUES('ready','cancelled');
INSERT INTO transition VALUES('ready','downloading');
INSERT INTO transition VALUES('ready','failed');
INSERT INTO transition VALUES('resolving','missing');
INSERT INTO transition VALUES('resolving','queued');
INSERT INTO transition VALUES('resolving','ready');
INSERT INTO transition VALUES('resolving','waiting');
INSERT INTO transition VALUES('verifying','corrupt');
INSERT INTO transition VALUES('verifying','done');
INSERT INTO transition VALUES('verifying','downloading');
INSERT INTO transition VALUES('verifying','failed');
INSERT INTO transition VALUES('verifying','present');
INSERT INTO transition VALUES('verifying','waiting');
INSERT INTO transition VALUES('waiting','cancelled');
INSERT INTO transition VALUES('waiting','queued');
INSERT INTO transition VALUES('waiting','ready');

-- Table  want
DROP TABLE IF EXISTS want;
CREATE TABLE want (                                     -- which listing wants which product
    listing INTEGER NOT NULL REFERENCES listing (id),
    product INTEGER NOT NULL REFERENCES product (id),
    line INTEGER NOT NULL,
    PRIMARY KEY (listing, product)
) STRICT, WITHOUT ROWID;
INSERT INTO want VALUES(1,1,1);
INSERT INTO want VALUES(1,2,2);
INSERT INTO want VALUES(2,3,1);
INSERT INTO want VALUES(2,4,2);
INSERT INTO want VALUES(2,5,3);
INSERT INTO want VALUES(2,6,4);
INSERT INTO want VALUES(2,7,5);
INSERT INTO want VALUES(2,8,6);
INSERT INTO want VALUES(2,9,7);
INSERT INTO want VALUES(2,10,8);
-- Triggers and indices on  want
CREATE TRIGGER product_wanted AFTER INSERT ON want
BEGIN
    INSERT INTO tally (listing, state, products, size_bytes)
    SELECT NEW.listing, state, 1, coalesce(size_bytes, 0) FROM product WHERE id = NEW.product
    ON CONFLICT (listing, state) DO UPDATE
    SET products = products + 1, size_bytes = size_bytes + excluded.size_bytes;
END;
CREATE INDEX want_by_product ON want (product);

-- For primary key autoincrements the next id to use is stored in
-- sqlite_sequence
DELETE FROM main.sqlite_sequence WHERE name='listing';
INSERT INTO main.sqlite_sequence VALUES ('listing', 3);
DELETE FROM main.sqlite_sequence WHERE name='process';
INSERT INTO main.sqlite_sequence VALUES ('process', 7);
DELETE FROM main.sqlite_sequence WHERE name='product';
INSERT INTO main.sqlite_sequence VALUES ('product', 10);

-- Database header
pragma application_id=1128551237;
PRAGMA user_version=1;

COMMIT TRANSACTION;
