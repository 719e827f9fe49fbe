-- What an account, a product and an object are charged for, and what they are not.

ALTER TABLE session ADD COLUMN requests INTEGER NOT NULL DEFAULT 0;  -- claimed: not sent yet, or sent and not counted

ALTER TABLE product ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;  -- rounds in a row in which all accounts got a 403
ALTER TABLE product ADD COLUMN refused_at REAL;                      -- the end of the first of these rounds
ALTER TABLE product ADD COLUMN refused_for_s REAL NOT NULL DEFAULT 0;     -- the pauses between them, added up
ALTER TABLE product ADD COLUMN offered_again INTEGER NOT NULL DEFAULT 0;  -- the catalogue was asked since they lasted

ALTER TABLE object ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;    -- copies in a row that differed from its ETag
