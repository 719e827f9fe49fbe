-- name: hours
SELECT hour, sum(bytes) AS bytes FROM counted JOIN traffic_hour ON traffic_hour.account = counted.name
WHERE counted.account = :account AND counted.volume AND hour BETWEEN :oldest_hour AND :newest_hour
GROUP BY hour ORDER BY hour

-- name: recent
SELECT account.name AS account, sum(bytes) AS bytes
FROM account CROSS JOIN traffic_step ON traffic_step.account = account.name
WHERE account.listed = 1 AND step BETWEEN :step - :steps AND :step GROUP BY account.name
