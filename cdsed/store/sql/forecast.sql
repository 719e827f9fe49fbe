-- name: hours
SELECT hour, sum(bytes) AS bytes FROM counted JOIN traffic_hour ON traffic_hour.account = counted.name
WHERE counted.account = :account AND counted.volume AND hour > :oldest_hour GROUP BY hour ORDER BY hour

-- name: recent
SELECT account, sum(bytes) AS bytes FROM traffic_step WHERE step BETWEEN :step - :steps AND :step GROUP BY account

-- name: backlog
SELECT listing.account_group, sum(tally.products) AS products
FROM listing JOIN tally ON tally.listing = listing.id
WHERE listing.state IN ('taking', 'open') AND tally.products > 0
  AND tally.state NOT IN (SELECT value FROM json_each(:terminal))
GROUP BY listing.account_group
