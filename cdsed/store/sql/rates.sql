-- name: first_step
SELECT min(step) FROM traffic_step WHERE step BETWEEN :step - :steps AND :step

-- Bytes by how many steps ago they arrived.
-- name: traffic
SELECT :step - step AS age, sum(bytes) AS bytes FROM traffic_step
WHERE step BETWEEN :step - :steps AND :step AND bytes > 0 GROUP BY step

-- name: hours
SELECT hour, sum(requests) AS requests, sum(bytes) AS bytes FROM traffic_hour WHERE hour > :after GROUP BY hour ORDER BY hour
