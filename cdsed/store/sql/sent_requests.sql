-- What counts for each account in the minute, or only for one, oldest first; of a shared quota that of the whole group.
-- name: sent
SELECT counted.account, step, sum(traffic_step.requests) AS requests, sum(within_1_s) AS within_1_s,
       sum(within_2_s) AS within_2_s, sum(within_3_s) AS within_3_s, sum(within_4_s) AS within_4_s
FROM counted JOIN traffic_step ON traffic_step.account = counted.name
WHERE counted.account = coalesce(:account, counted.account) AND counted.requests
  AND step BETWEEN :oldest_step AND :step AND traffic_step.requests > 0
GROUP BY counted.account, step ORDER BY step
