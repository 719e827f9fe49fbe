-- name: add
INSERT INTO command (at, owner, text) VALUES (:at, :owner, :text)

-- name: forget_old
DELETE FROM command WHERE id <= (SELECT max(id) FROM command) - :kept AND logged = 1

-- name: unlogged
SELECT id, at, owner, text FROM command WHERE logged = 0 ORDER BY id LIMIT 100

-- name: logged
UPDATE command SET logged = 1 WHERE id <= :id
