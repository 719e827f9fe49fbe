-- name: widen
UPDATE product SET choice = :choice WHERE id = :id
