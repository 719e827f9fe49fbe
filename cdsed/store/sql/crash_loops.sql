-- name: all
SELECT worker, crashes, ending, code, start_s FROM crash_loop ORDER BY worker

-- name: forget
DELETE FROM crash_loop

-- name: enter
INSERT INTO crash_loop (worker, crashes, ending, code, start_s)
VALUES (:worker, :crashes, :ending, :code, :start_s)
