-- A daemon runs for years: what need not be kept for ever goes, and what nobody sees in the log is told.

-- Of each product the latest 32 changes of state. One that waits for a disk changes three times whenever it is tried
-- again.
DROP TRIGGER product_moved;
CREATE TRIGGER product_moved AFTER UPDATE OF state ON product
WHEN OLD.state <> NEW.state
BEGIN
    INSERT INTO event (product, at, origin, target, attempts, cause)
    VALUES (NEW.id, NEW.changed_at, OLD.state, NEW.state, NEW.attempts, NEW.cause);
    DELETE FROM event WHERE product = NEW.id
      AND id <= (SELECT id FROM event WHERE product = NEW.id ORDER BY id DESC LIMIT 1 OFFSET 32);
END;

-- Since when a session is held, in seconds since boot: what was leased before a pause ended is no probe.
ALTER TABLE session ADD COLUMN leased_s REAL;

-- Products whose place only the catalogue knows, because their names tell none or a wrong one (path_refuted), stay queued
-- while it is out; the others pass them by.
DROP INDEX product_queued;
CREATE INDEX product_queued ON product (path_refuted, priority DESC, id) WHERE state = 'queued';

-- One login may be known by two names, the former and the new one: its sessions and its volume are those of the login.
ALTER TABLE account ADD COLUMN login TEXT NOT NULL DEFAULT '';  -- a digest that tells one from another; '': unknown
ALTER TABLE session ADD COLUMN login TEXT NOT NULL DEFAULT '';  -- of its latest lease

-- Remarks are kept for the receipt; once it is written, they stand in it.
DELETE FROM remark WHERE listing NOT IN (SELECT id FROM listing WHERE state = 'taking');

-- The steps of the last hour tell its speed, too. An upgrade begins that hour anew.
DROP TABLE traffic_minute;

CREATE TABLE notice (                                   -- what people should know although nothing has failed
    name TEXT PRIMARY KEY,                              -- recovered, inbox, replaced:/spool/.cdsed/replaced
    text TEXT NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
