-- Several states that work at one place: digests count only for the file they were computed of.
ALTER TABLE object ADD COLUMN stamp TEXT;               -- that file, after its last writing; NULL: digest it again
