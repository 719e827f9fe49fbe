-- name: in_force
SELECT kind, pause.name, source, until_at, listing.name AS listing
FROM pause LEFT JOIN listing ON kind = 'listing' AND listing.id = CAST(pause.name AS INTEGER)
WHERE until_at IS NULL OR until_at > :now
