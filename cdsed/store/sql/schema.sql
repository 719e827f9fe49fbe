-- Generated from cdsed/store/sql/migrations by `make docs`: the present schema, of which a new state is made.
-- It is what all migrations make together. To change it, add a migration.
PRAGMA application_id = 1128551237;
PRAGMA user_version = 17;

CREATE TABLE daemon (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    started_at REAL NOT NULL,
    stopped_at REAL,                                    -- NULL: running, or died
    booted_at REAL NOT NULL,                            -- UTC instant at which CLOCK_BOOTTIME was 0
    version TEXT NOT NULL,
    once INTEGER NOT NULL DEFAULT 0 CHECK (once IN (0, 1)),
    stalled_after_s REAL NOT NULL DEFAULT 60  -- a longer silence of a connection ends it
) STRICT;

CREATE TABLE fence (                                    -- the one counter; it only grows
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;

CREATE TABLE process (                                  -- workers that live, or died and were not yet swept
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    pid INTEGER NOT NULL,
    lock TEXT NOT NULL UNIQUE,                          -- file it holds a flock on: the kernel's word that it lives
    started_at REAL NOT NULL
) STRICT;

CREATE TABLE account (                                  -- what the accounts file says, without its secrets
    name TEXT PRIMARY KEY,
    account_group TEXT NOT NULL,
    listed INTEGER NOT NULL CHECK (listed IN (0, 1)),   -- 0: no longer in the accounts file
    requests_per_minute INTEGER NOT NULL CHECK (requests_per_minute > 0),
    volume_bytes INTEGER NOT NULL CHECK (volume_bytes > 0),
    key_expires_at REAL,
    has_keys INTEGER NOT NULL CHECK (has_keys IN (0, 1)),
    bandwidth_bytes_per_s INTEGER,  -- our own ceiling per connection
    login TEXT NOT NULL DEFAULT '',  -- a digest that tells one from another; '': unknown
    shares_volume INTEGER NOT NULL DEFAULT 0 CHECK (shares_volume IN (0, 1)),
    shares_requests INTEGER NOT NULL DEFAULT 0 CHECK (shares_requests IN (0, 1)),
    pool_sessions INTEGER CHECK (pool_sessions > 0)  -- of its whole group; NULL: not shared
) STRICT, WITHOUT ROWID;
CREATE INDEX account_by_group ON account (account_group);

CREATE TABLE session (                                  -- the right to one connection; held when process is set
    account TEXT NOT NULL REFERENCES account (name),
    slot INTEGER NOT NULL CHECK (slot > 0),
    enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    process INTEGER REFERENCES process (id),
    fence INTEGER,
    rest_until_s REAL NOT NULL DEFAULT 0,
    since_at REAL,
    leased_s REAL,
    login TEXT NOT NULL DEFAULT '',  -- of its latest lease
    requests INTEGER NOT NULL DEFAULT 0,  -- claimed: not sent yet, or sent and not counted
    waits_for TEXT CHECK (waits_for = 'requests'),  -- while leased; NULL: for no quota
    product INTEGER REFERENCES product (id),  -- that it plans or fetches
    received_bytes INTEGER NOT NULL DEFAULT 0,  -- of this product, by this lease
    hold_s REAL NOT NULL DEFAULT 0,  -- how long a connection on another machine may outlive news
    machine TEXT,  -- where that connection is; NULL: none was
    PRIMARY KEY (account, slot),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_process ON session (process) WHERE process IS NOT NULL;
CREATE INDEX session_by_login ON session (login);

CREATE TABLE breaker (                                  -- what cools down: account:x, service:s3, disk:/spool
    name TEXT PRIMARY KEY,
    failures INTEGER NOT NULL CHECK (failures > 0),
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    until_s REAL NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE traffic_hour (
    account TEXT NOT NULL,
    hour INTEGER NOT NULL,                              -- UTC hours since the epoch
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (account, hour)
) STRICT, WITHOUT ROWID;

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
    already_present INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    ignored INTEGER NOT NULL DEFAULT 0,
    taken_at REAL NOT NULL,
    reported_at REAL,
    reason TEXT,            -- why the file as a whole was refused
    cancelled_at REAL,  -- by a person; NULL: not
    layout TEXT,  -- NULL: products appear in the output directory itself
    choice TEXT,  -- patterns of files, JSON; NULL: whole products
    CHECK ((state = 'reported') = (reported_at IS NOT NULL))
) STRICT;
CREATE INDEX listing_by_content ON listing (sha256, account_group, outputdir);
CREATE INDEX listing_unreported ON listing (state) WHERE state IN ('taking', 'open');

CREATE TABLE transition (
    origin TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (origin, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE want (                                     -- which listing wants which product
    listing INTEGER NOT NULL REFERENCES listing (id),
    product INTEGER NOT NULL REFERENCES product (id),
    line INTEGER NOT NULL,
    PRIMARY KEY (listing, product)
) STRICT, WITHOUT ROWID;
CREATE INDEX want_by_product ON want (product);

CREATE TABLE "access_denial" (                                   -- accounts that were refused this product
    product INTEGER NOT NULL REFERENCES product (id),
    account TEXT NOT NULL,
    PRIMARY KEY (product, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (                                    -- one row per change of state
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    at REAL NOT NULL,
    origin TEXT,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    cause TEXT
) STRICT;
CREATE INDEX event_by_product ON event (product);

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
    damaged INTEGER NOT NULL DEFAULT 0,  -- copies in a row that differed from its ETag
    stamp TEXT,  -- that file, after its last writing; NULL: digest it again
    UNIQUE (product, path)
) STRICT;
CREATE INDEX object_claimed ON object (process) WHERE process IS NOT NULL;

CREATE TABLE piece (                                    -- one ranged GET; fence set: a session is at it
    id INTEGER PRIMARY KEY,
    product INTEGER NOT NULL REFERENCES product (id),
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    first_byte INTEGER NOT NULL CHECK (first_byte >= 0),
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    done_bytes INTEGER NOT NULL DEFAULT 0 CHECK (done_bytes BETWEEN 0 AND size_bytes),  -- on the disk
    written_bytes INTEGER NOT NULL DEFAULT 0,           -- written before a kill; worth nothing after a new boot
    transient_failures INTEGER NOT NULL DEFAULT 0,
    due_s REAL NOT NULL DEFAULT 0,
    fence INTEGER
) STRICT;
CREATE INDEX piece_open ON piece (product, object) WHERE done_bytes < size_bytes;
CREATE INDEX piece_by_object ON piece (object);
CREATE INDEX piece_held ON piece (fence) WHERE fence IS NOT NULL;

CREATE TABLE tally (                                    -- products by listing and state; listing 0 is all of them
    listing INTEGER NOT NULL,
    state TEXT NOT NULL,
    products INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (listing, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE "throttle" (                                -- accounts that may use fewer sessions than they have
    account TEXT PRIMARY KEY REFERENCES account (name),
    cause TEXT NOT NULL CHECK (cause IN ('throttled', 'shared', 'penalised')),
    sessions INTEGER NOT NULL CHECK (sessions > 0),
    fence INTEGER NOT NULL,                             -- leases up to this one were in flight at the last decrease
    since_s REAL NOT NULL,                              -- the last decrease
    grows_s REAL                                        -- NULL: nothing has been delivered since
) STRICT, WITHOUT ROWID;

CREATE TABLE traffic_step (
    account TEXT NOT NULL,
    step INTEGER NOT NULL,                              -- of 5 s, since boot
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    within_1_s INTEGER NOT NULL DEFAULT 0,  -- of the requests, those of its first second
    within_2_s INTEGER NOT NULL DEFAULT 0,
    within_3_s INTEGER NOT NULL DEFAULT 0,
    within_4_s INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE s3_key (
    account TEXT PRIMARY KEY,
    mark TEXT NOT NULL,                                 -- sixteen bits of a digest: tells one key from the next
    since_at REAL NOT NULL,                             -- first used
    worked_at REAL                                      -- last accepted by S3, to the minute; NULL: never
) STRICT, WITHOUT ROWID;

CREATE TABLE disk (
    place TEXT PRIMARY KEY,                             -- the directory
    marker TEXT NOT NULL,                               -- what its marker file says
    device INTEGER NOT NULL,                            -- its own identity; changes with some mounts and boots
    inode INTEGER NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE notice (                                   -- what people should know although nothing has failed
    name TEXT PRIMARY KEY,                              -- recovered, inbox, replaced:/spool/.cdsed/replaced
    text TEXT NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE crash_loop (                               -- workers that crash again and again, as the supervisor sees them
    worker TEXT PRIMARY KEY,
    crashes INTEGER NOT NULL CHECK (crashes > 0),       -- since it was well
    ending TEXT NOT NULL,                               -- how it ended last, in words
    code INTEGER,                                       -- its exit code; NULL: a signal, or it cannot be started
    start_s REAL                                        -- boot-clock second of its next start; NULL: it runs
) STRICT, WITHOUT ROWID;

CREATE TABLE "product" (
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
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),  -- 1: all open listings that want it are paused
    cancels INTEGER NOT NULL DEFAULT 0
    CHECK (cancels = 0 OR state IN ('ready', 'downloading', 'verifying', 'retry_wait')),
    replaces TEXT,  -- the published copy that it replaces when it is verified
    replaces_inode INTEGER CHECK ((replaces IS NULL) = (replaces_inode IS NULL)),  -- of that copy
    layout TEXT,  -- of the listing that asked first
    choice TEXT,  -- the files that all its listings want, JSON; NULL: all
    partial INTEGER NOT NULL DEFAULT 0 CHECK (partial IN (0, 1)),
    kind TEXT GENERATED ALWAYS AS (
    substr(safename, 1, 2) || substr(safename, 4, iif(instr(safename, '_20') > 4, instr(safename, '_20') - 4, 4))) VIRTUAL,
    CHECK ((state = 'retry_wait') = (due_s IS NOT NULL)),
    CHECK (state NOT IN ('done', 'already_present') OR path IS NOT NULL),
    CHECK (state NOT IN ('unavailable', 'corrupt', 'failed') OR cause IS NOT NULL),
    CHECK (state NOT IN ('resolving', 'verifying') OR process IS NOT NULL),
    CHECK (planned = 0 OR (destination IS NOT NULL AND staging IS NOT NULL)),
    CHECK ((s3_path IS NULL) = (path_source IS NULL)),
    CHECK ((process IS NULL) = (fence IS NULL))
) STRICT;
CREATE INDEX product_queued ON product (path_refuted, priority DESC, id) WHERE state = 'queued';
CREATE INDEX product_downloading ON product (account_group, priority DESC, id) WHERE state = 'downloading';
CREATE INDEX product_due ON product (due_s) WHERE due_s IS NOT NULL;
CREATE INDEX product_suspect ON product (id) WHERE deaths > 0;
CREATE INDEX product_claimed ON product (process) WHERE process IS NOT NULL;
CREATE INDEX product_cancelling ON product (id) WHERE cancels = 1;
CREATE INDEX product_cancelled ON product (id) WHERE state = 'cancelled' AND staging IS NOT NULL;
CREATE INDEX product_held ON product (id) WHERE held = 1;
CREATE INDEX product_by_place ON product (account_group, held, place, priority DESC, id) WHERE state = 'ready';
CREATE INDEX product_with_error ON product (changed_at, state, code, due_s) WHERE code IS NOT NULL;

CREATE TABLE "remark" (                               -- what a receipt says about a line of a listing, and its products
    listing INTEGER NOT NULL REFERENCES listing (id),
    line INTEGER NOT NULL,
    part INTEGER NOT NULL DEFAULT 0 CHECK (part >= 0),  -- number of the remark among those about the line
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'known', 'already_present', 'rejected')),
    safename TEXT,
    text TEXT NOT NULL,
    PRIMARY KEY (listing, line, part)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE hook (                                     -- a hook of the settings
    name TEXT PRIMARY KEY,
    products INTEGER NOT NULL CHECK (products IN (0, 1)),   -- wants the events of products
    listings INTEGER NOT NULL CHECK (listings IN (0, 1)),
    alarms INTEGER NOT NULL CHECK (alarms IN (0, 1)),
    groups TEXT,                                        -- JSON: of these account groups only; NULL: of all
    patterns TEXT,                                      -- JSON: of listings with such names only; NULL: of all
    delivered INTEGER NOT NULL DEFAULT 0,               -- events
    delivered_at REAL,
    failures INTEGER NOT NULL DEFAULT 0,                -- in a row
    error TEXT,
    retries_requested INTEGER NOT NULL DEFAULT 0        -- it grows when a person wants a retry now
) STRICT, WITHOUT ROWID;

CREATE TABLE hook_event (                               -- an event that a hook has still to be given
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('product_published', 'listing_finished', 'person_needed', 'back_to_normal',
                                       'test')),
    at REAL NOT NULL,
    facts TEXT NOT NULL,                                -- JSON
    alarm TEXT,                                         -- its key in alarm, for events of alarms
    batch INTEGER,                                      -- events that are given together have the same; NULL: not tried
    attempts INTEGER NOT NULL DEFAULT 0,
    given_up_at REAL                                    -- NULL: it is still tried
) STRICT;
CREATE INDEX hook_event_to_give ON hook_event (hook, batch, id) WHERE given_up_at IS NULL;
CREATE INDEX hook_event_given_up ON hook_event (hook, id) WHERE given_up_at IS NOT NULL;

CREATE TABLE alarm (                                    -- what needs a person, as far as hooks were to say it
    key TEXT PRIMARY KEY,                               -- name, subject and stage
    facts TEXT NOT NULL,                                -- JSON
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

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

CREATE TABLE last_published (                           -- one row
    id INTEGER PRIMARY KEY CHECK (id = 1),
    product INTEGER NOT NULL REFERENCES product (id),
    at REAL NOT NULL
) STRICT;

CREATE TABLE free_space (                               -- the directories that products are written to
    place TEXT PRIMARY KEY,
    free_bytes INTEGER,                                 -- NULL: it cannot be asked
    error TEXT,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE bandwidth_limit (                          -- the bandwidth that the settings allow now
    kind TEXT NOT NULL CHECK (kind IN ('machine', 'group', 'account')),
    name TEXT NOT NULL,                                 -- '' for the machine
    bytes_per_s INTEGER NOT NULL CHECK (bytes_per_s > 0),
    until_at REAL,                                      -- when the settings change it; NULL: they do not
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE machine (                                  -- where workers of Dask run, as the daemon hears of them
    name TEXT PRIMARY KEY,
    heard_at REAL,                                      -- when one was last heard; NULL: the settings have no Dask
    workers INTEGER NOT NULL DEFAULT 0,                 -- that run now
    idle INTEGER NOT NULL DEFAULT 0,                    -- their processes without a connection
    at_work INTEGER NOT NULL DEFAULT 0,                 -- and with one
    rate_bytes_per_s REAL NOT NULL DEFAULT 0,           -- mean of the last minute
    received_bytes INTEGER NOT NULL DEFAULT 0,          -- since it is known
    worker_sees_s REAL,                                 -- so late its worker sees a new file of the daemon; NULL: unknown
    daemon_sees_s REAL,                                 -- and the daemon one of its worker
    refused TEXT,                                       -- why it gets no connection; NULL: it may
    drain_at REAL,                                      -- when a person drained it; NULL: it is not drained
    drained_at REAL                                     -- since when nothing is at work there; NULL: not yet
) STRICT, WITHOUT ROWID;

CREATE TABLE lost_grant (                               -- connections that were not closed in order
    machine TEXT NOT NULL,
    why TEXT NOT NULL CHECK (why IN ('holder_died', 'no_answer', 'silent', 'head_died')),
    grants INTEGER NOT NULL,                            -- how many, since the machine is known
    last_at REAL NOT NULL,
    PRIMARY KEY (machine, why)
) STRICT, WITHOUT ROWID;

CREATE VIEW peer (account, name, login, own, volume, requests) AS
SELECT account.name, other.name, other.login, other.name = account.name,
       other.name = account.name OR account.shares_volume, other.name = account.name OR account.shares_requests
FROM account JOIN account AS other ON other.name = account.name
    OR (other.account_group = account.account_group
        AND (account.shares_volume OR account.shares_requests OR account.pool_sessions IS NOT NULL));

CREATE VIEW counted (account, name, volume, requests) AS
SELECT peer.account, other.name, max(peer.volume), max(peer.requests)
FROM peer JOIN account AS other ON other.name = peer.name OR (other.login = peer.login AND peer.login <> '')
GROUP BY peer.account, other.name;

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

CREATE VIEW open_want (product, listing, paused) AS
SELECT want.product, listing.id,
       EXISTS (SELECT 1 FROM pause WHERE kind = 'listing' AND name = CAST(listing.id AS TEXT))
FROM want JOIN listing ON listing.id = want.listing
WHERE listing.state IN ('taking', 'open') AND listing.cancelled_at IS NULL;

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

CREATE TRIGGER window_was_resumed BEFORE INSERT ON pause
WHEN NEW.source = 'window' AND EXISTS (SELECT 1 FROM resumed WHERE kind = NEW.kind AND name = NEW.name)
BEGIN
    SELECT raise(IGNORE);
END;

CREATE TRIGGER product_published AFTER UPDATE OF state ON product
WHEN NEW.state <> OLD.state
    AND (NEW.state = 'done' OR (NEW.state = 'already_present' AND OLD.state IN ('downloading', 'verifying')))
BEGIN
    INSERT INTO hook_event (hook, kind, at, facts)
    SELECT hook.name, 'product_published', NEW.changed_at,
           json_object('safename', NEW.safename, 'path', NEW.path, 'size_bytes', NEW.size_bytes,
                       'group', NEW.account_group, 'product_id', NEW.product_id, 's3_path', NEW.s3_path,
                       'state', NEW.state,
                       'listings', (SELECT json_group_array(listing.name) FROM want
                                    JOIN listing ON listing.id = want.listing WHERE want.product = NEW.id))
    FROM hook
    WHERE hook.products = 1
      AND (hook.groups IS NULL OR NEW.account_group IN (SELECT value FROM json_each(hook.groups)))
      AND (hook.patterns IS NULL
           OR EXISTS (SELECT 1 FROM want JOIN listing ON listing.id = want.listing
                      JOIN json_each(hook.patterns) AS pattern ON listing.name GLOB pattern.value
                      WHERE want.product = NEW.id));
END;

CREATE TRIGGER listing_finished AFTER UPDATE OF state ON listing
WHEN NEW.state = 'reported' AND OLD.state <> 'reported'
BEGIN
    INSERT INTO hook_event (hook, kind, at, facts)
    SELECT hook.name, 'listing_finished', NEW.reported_at,
           json_object('listing', NEW.name, 'group', NEW.account_group, 'owner', NEW.owner,
                       'report', NEW.path || '.report.json',
                       'products', (SELECT json_group_object(state, products) FROM tally
                                    WHERE tally.listing = NEW.id AND products > 0))
    FROM hook
    WHERE hook.listings = 1
      AND (hook.groups IS NULL OR NEW.account_group IN (SELECT value FROM json_each(hook.groups)))
      AND (hook.patterns IS NULL
           OR EXISTS (SELECT 1 FROM json_each(hook.patterns) AS pattern WHERE NEW.name GLOB pattern.value));
END;

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

INSERT INTO fence (id, value) VALUES
    (1, 0);

INSERT INTO transition (origin, target) VALUES
    ('already_present', 'queued'),
    ('cancelled', 'queued'),
    ('corrupt', 'queued'),
    ('done', 'queued'),
    ('downloading', 'already_present'),
    ('downloading', 'cancelled'),
    ('downloading', 'failed'),
    ('downloading', 'queued'),
    ('downloading', 'ready'),
    ('downloading', 'retry_wait'),
    ('downloading', 'unavailable'),
    ('downloading', 'verifying'),
    ('failed', 'queued'),
    ('queued', 'already_present'),
    ('queued', 'cancelled'),
    ('queued', 'resolving'),
    ('ready', 'cancelled'),
    ('ready', 'downloading'),
    ('ready', 'failed'),
    ('resolving', 'queued'),
    ('resolving', 'ready'),
    ('resolving', 'retry_wait'),
    ('resolving', 'unavailable'),
    ('retry_wait', 'cancelled'),
    ('retry_wait', 'queued'),
    ('retry_wait', 'ready'),
    ('unavailable', 'queued'),
    ('verifying', 'already_present'),
    ('verifying', 'cancelled'),
    ('verifying', 'corrupt'),
    ('verifying', 'done'),
    ('verifying', 'downloading'),
    ('verifying', 'failed'),
    ('verifying', 'retry_wait');
