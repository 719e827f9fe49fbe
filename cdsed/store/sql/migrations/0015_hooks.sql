-- Hooks: which there are, and the events that each has still to be given (an outbox).
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

-- In the transaction that publishes. A product that was being fetched and is then found at its place was published too:
-- the process was interrupted before it could note that.
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
