WITH per AS (SELECT g, k, COUNT(*) AS c FROM t WHERE b IS NOT NULL GROUP BY g, k HAVING COUNT(*) >= 1),
     top AS (SELECT g, MAX(c) AS m, MIN(k) AS lo FROM per GROUP BY g)
SELECT m, COUNT(*) AS n, MIN(g) AS first, MIN(lo) AS lo FROM top GROUP BY m
