SELECT g AS region, TUMBLE_START(ts, INTERVAL '1 minute') AS minute,
       COUNT(*) AS orders, SUM(d) AS revenue
FROM t GROUP BY g, TUMBLE(ts, INTERVAL '1 minute')
