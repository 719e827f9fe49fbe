-- name: at_rest
SELECT NOT EXISTS (SELECT 1 FROM tally WHERE listing = 0 AND products > 0
                   AND state IN (SELECT value FROM json_each(:unfinished)))
    AND NOT EXISTS (SELECT 1 FROM listing WHERE state IN ('taking', 'open'))
    AND NOT EXISTS (SELECT 1 FROM pause WHERE until_at IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM resumed WHERE until_at IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM breaker WHERE until_s > :now_s)
    AND NOT EXISTS (SELECT 1 FROM product WHERE state = 'cancelled' AND staging IS NOT NULL)
