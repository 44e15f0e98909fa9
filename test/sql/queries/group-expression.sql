SELECT lower(g) AS lg, k % 2 AS parity, COUNT(*) + 1 AS c, SUM(d) / COUNT(*) AS mean FROM t GROUP BY 1, k % 2
