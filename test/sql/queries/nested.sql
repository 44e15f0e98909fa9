SELECT c, COUNT(*) AS groups, SUM(s) AS total, MAX(s) AS top
FROM (SELECT g, COUNT(*) AS c, SUM(k) AS s FROM t GROUP BY g) q GROUP BY c
