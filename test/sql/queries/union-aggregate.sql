SELECT g, COUNT(*) AS c, MIN(k) AS lo, MAX(d) AS hi, SUM(d) AS s
FROM (SELECT g, k, d FROM t UNION ALL SELECT g, k, d * 2 FROM s) u GROUP BY g
