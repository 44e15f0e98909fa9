SELECT k, SUM(v) AS sv, AVG(v) AS av, MIN(v) AS minv, MAX(v) AS maxv, COUNT(DISTINCT v) AS dv FROM t GROUP BY k
