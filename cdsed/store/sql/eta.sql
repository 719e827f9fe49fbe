-- name: breakers
SELECT name, until_s FROM breaker WHERE open = 1 AND until_s > :now_s
