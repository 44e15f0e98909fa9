SELECT TUMBLE_START(ts, INTERVAL '30 seconds') AS w, TUMBLE_END(ts, INTERVAL '30 seconds') AS e, b,
       COUNT(*) AS c, AVG(d) AS a
FROM t GROUP BY TUMBLE(ts, INTERVAL '30 seconds'), b
