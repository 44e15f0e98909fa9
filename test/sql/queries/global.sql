SELECT COUNT(*) AS c, SUM(k) AS s, MIN(g) AS lo, MAX(ts) AS hi, COUNT(DISTINCT g) AS dg FROM t
