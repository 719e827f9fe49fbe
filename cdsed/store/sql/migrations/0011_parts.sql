-- A line of a listing may have several remarks, and one about an accepted product.

CREATE TABLE new_remark (                               -- what a receipt says about a line of a listing, and its products
    listing INTEGER NOT NULL REFERENCES listing (id),
    line INTEGER NOT NULL,
    part INTEGER NOT NULL DEFAULT 0 CHECK (part >= 0),  -- number of the remark among those about the line
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'known', 'already_present', 'rejected')),
    safename TEXT,
    text TEXT NOT NULL,
    PRIMARY KEY (listing, line, part)
) STRICT, WITHOUT ROWID;
INSERT INTO new_remark SELECT listing, line, 0, verdict, safename, text FROM remark;
DROP TABLE remark;
ALTER TABLE new_remark RENAME TO remark;
