-- What a session can begin with, but no more than :most of each kind.
-- name: parts
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM product WHERE state = 'ready' AND held = 0
            AND account_group IN (SELECT value FROM json_each(:groups)) LIMIT :most))
     + (SELECT count(*) FROM (
            SELECT 1 FROM product JOIN piece ON piece.product = product.id
            WHERE state = 'downloading' AND planned = 1 AND held = 0 AND cancels = 0
              AND account_group IN (SELECT value FROM json_each(:groups))
              AND piece.done_bytes < piece.size_bytes AND piece.fence IS NULL AND piece.due_s <= :now_s LIMIT :most))
