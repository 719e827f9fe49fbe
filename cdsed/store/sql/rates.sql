-- name: first_step
SELECT min(step) FROM traffic_step WHERE step BETWEEN :step - :steps AND :step

-- Bytes by how many steps ago they arrived.
-- name: traffic
SELECT :step - step AS age, sum(bytes) AS bytes FROM traffic_step
WHERE step BETWEEN :step - :steps AND :step AND bytes > 0 GROUP BY step
