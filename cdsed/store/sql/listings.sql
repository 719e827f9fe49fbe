-- name: begin
INSERT INTO listing (sha256, account_group, outputdir, priority, name, owner, state, path, taken_at, layout, choice)
VALUES (:sha256, :account_group, :outputdir, :priority, :name, :owner, 'taking', :path, :at, :layout, :choice)
RETURNING id

-- name: refuse
INSERT INTO listing (sha256, account_group, priority, name, owner, state, path, taken_at, reason)
VALUES ('', '', 0, :name, :owner, 'refused', :path, :at, :reason)

-- Reported listings with the same content; only their sums are kept.
-- name: twins
SELECT id FROM listing
WHERE sha256 = :sha256 AND account_group = :account_group AND outputdir = :outputdir AND state = 'reported'

-- name: forget_wants
DELETE FROM want WHERE listing = :id

-- name: forget_remarks
DELETE FROM remark WHERE listing = :id

-- name: forget_tally
DELETE FROM tally WHERE listing = :id

-- name: taking
SELECT * FROM listing WHERE state = 'taking' ORDER BY id

-- name: get
SELECT * FROM listing WHERE id = :id

-- name: by_name
SELECT * FROM listing WHERE name = :name OR path = :name ORDER BY taken_at DESC LIMIT 1

-- name: count
UPDATE listing SET items_taken = :items_taken, accepted = accepted + :accepted, duplicate = duplicate + :duplicate,
    known = known + :known, already_present = already_present + :already_present, rejected = rejected + :rejected, ignored = ignored + :ignored
WHERE id = :id

-- name: remark
INSERT INTO remark (listing, line, part, verdict, safename, text)
VALUES (:listing, :line, :part, :verdict, :safename, :text)

-- name: want
INSERT INTO want (listing, product, line) VALUES (:listing, :product, :line)
ON CONFLICT (listing, product) DO NOTHING

-- name: want_line
SELECT line FROM want WHERE listing = :listing AND product = :product

-- name: finish
UPDATE listing SET state = :state, path = :path WHERE id = :id

-- name: newest_event
SELECT coalesce(max(id), 0) FROM event

-- name: reported
UPDATE listing SET state = 'reported', reported_at = :at
WHERE id = :id  -- CROSS JOIN begins with the events: few are new, and a listing may want a million products
  AND NOT EXISTS (SELECT 1 FROM event CROSS JOIN want ON want.product = event.product AND want.listing = :id
                  WHERE event.id > :seen)

-- name: reopen
UPDATE listing SET state = iif(state = 'taking', 'taking', 'open'), reported_at = NULL, cancelled_at = NULL
WHERE (state = 'reported' OR cancelled_at IS NOT NULL) AND id IN (SELECT listing FROM want WHERE product = :product)

-- name: take_up
UPDATE listing SET state = iif(state = 'taking', 'taking', 'open'), reported_at = NULL, cancelled_at = NULL
WHERE id = :id AND cancelled_at IS NOT NULL

-- name: finished
SELECT * FROM listing
WHERE id > :after AND state IN ('taking', 'open') AND state = 'open'  -- IN: for the index listing_unreported
  AND CASE WHEN cancelled_at IS NULL THEN
      NOT EXISTS (SELECT 1 FROM tally WHERE tally.listing = listing.id AND products > 0
                  AND tally.state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled'))
      ELSE  -- products that another listing still wants do not delay its report
      NOT EXISTS (SELECT 1 FROM product CROSS JOIN want ON want.product = product.id AND want.listing = listing.id
                  WHERE product.cancels = 1) END
ORDER BY id LIMIT :most

-- name: unreported
SELECT count(*) FROM listing WHERE state IN ('taking', 'open')

-- name: any_unreported_below
SELECT EXISTS (SELECT 1 FROM listing
               WHERE state IN ('taking', 'open') AND substr(path, 1, length(:folder)) = :folder)

-- name: unsatisfied
SELECT count(*) FROM listing
WHERE (taken_at >= :since OR reported_at >= :since)
  AND (rejected > 0 OR state = 'refused'
       OR EXISTS (SELECT 1 FROM tally WHERE tally.listing = listing.id AND products > 0
                  AND tally.state NOT IN ('done', 'already_present')))

-- Pages of whole lines.
-- name: remarks
SELECT line AS position, verdict, safename, text FROM remark
WHERE listing = :listing AND line > :after
  AND line <= (SELECT max(line) FROM (SELECT line FROM remark WHERE listing = :listing AND line > :after
                                      ORDER BY line LIMIT 1000))
ORDER BY line, part

-- Of a cancelled listing: what another listing still wants is cancelled for this one.
-- name: report_rows
SELECT want.product AS position, want.line, product.safename, product.path, product.size_bytes, product.attempts,
       product.partial,
       iif(cancelled_at IS NULL
           OR product.state IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled'),
           product.state, 'cancelled') AS state,
       iif(cancelled_at IS NULL
           OR product.state IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled'),
           product.cause, 'cancelled for this listing; another one still wants it') AS cause
FROM want JOIN product ON product.id = want.product JOIN listing ON listing.id = want.listing
WHERE want.listing = :listing AND want.product > :after ORDER BY want.product LIMIT 1000

-- name: failed_products
SELECT want.line, product.safename, product.state, product.path, product.size_bytes, product.attempts,
       product.cause, product.partial
FROM want JOIN product ON product.id = want.product
WHERE want.listing = :listing AND product.state IN ('unavailable', 'corrupt', 'failed', 'cancelled')
ORDER BY abs(want.line) LIMIT :most
