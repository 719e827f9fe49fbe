-- What of a product is fetched, and where to.
ALTER TABLE listing ADD COLUMN layout TEXT;             -- NULL: products appear in the output directory itself
ALTER TABLE listing ADD COLUMN choice TEXT;             -- patterns of files, JSON; NULL: whole products
ALTER TABLE product ADD COLUMN layout TEXT;             -- of the listing that asked first
ALTER TABLE product ADD COLUMN choice TEXT;             -- the files that all its listings want, JSON; NULL: all
-- Whether what is on disk, or in transfer, is only a part.
ALTER TABLE product ADD COLUMN partial INTEGER NOT NULL DEFAULT 0 CHECK (partial IN (0, 1));
