-- What counts for each account in the minute, by step; a shared quota counts the requests of the whole group.
-- name: sent
SELECT counted.account, step, sum(traffic_step.requests) AS requests
FROM counted JOIN traffic_step ON traffic_step.account = counted.name
WHERE counted.requests AND step BETWEEN :step - :steps AND :step AND traffic_step.requests > 0
GROUP BY counted.account, step ORDER BY step

-- name: breakers
SELECT name, until_s FROM breaker WHERE open = 1 AND until_s > :now_s
