-- What each account sent and received in the last steps of 5 s.
-- name: steps
SELECT account.name AS account, step, requests, bytes
FROM account CROSS JOIN traffic_step ON traffic_step.account = account.name
WHERE account.listed = 1 AND step BETWEEN :step - :steps AND :step

-- name: leased
SELECT account, min(leased_s) AS since_s FROM session WHERE process IS NOT NULL GROUP BY account

-- name: last_hour
SELECT account.name AS account, count(*) AS steps, sum(requests) AS requests, sum(bytes) AS bytes
FROM account CROSS JOIN traffic_step ON traffic_step.account = account.name
WHERE account.listed = 1 AND step BETWEEN :step - :steps AND :step - 1 AND bytes > 0
GROUP BY account.name

-- name: busy_hours
SELECT count(*) AS hours, coalesce(sum(requests), 0) AS requests, coalesce(sum(bytes), 0) AS bytes
FROM (SELECT requests, bytes FROM traffic_hour WHERE account = :account AND bytes > 0 ORDER BY hour DESC LIMIT :most)
