-- Which disk each directory of products lies on, so that a mount that is gone is told from an empty directory.
CREATE TABLE disk (
    place TEXT PRIMARY KEY,                             -- the directory
    marker TEXT NOT NULL,                               -- what its marker file says
    device INTEGER NOT NULL,                            -- its own identity; changes with some mounts and boots
    inode INTEGER NOT NULL,
    since_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Where a product will be written, as far as it is known: it waits while that place is paused.
ALTER TABLE product ADD COLUMN place TEXT
    GENERATED ALWAYS AS (coalesce(destination, outputdir, 'unknown')) VIRTUAL;
CREATE INDEX product_by_place ON product (account_group, place, priority DESC, id) WHERE state = 'ready';

-- SQLite uses a partial index only where the query repeats its condition: with a list of states, no query did, and
-- each hand-out of work read the whole table.
DROP INDEX product_to_work_on;
DROP INDEX product_unsettled;
CREATE INDEX product_queued ON product (priority DESC, id) WHERE state = 'queued';
CREATE INDEX product_downloading ON product (account_group, priority DESC, id) WHERE state = 'downloading';

-- The places at which products are ready, without looking at each product.
CREATE VIEW ready_place (account_group, place) AS
WITH RECURSIVE step (account_group, place) AS (
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
