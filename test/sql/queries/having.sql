SELECT g, COUNT(*) AS c, SUM(k) AS s FROM t GROUP BY g HAVING COUNT(*) > 1 AND g <> 'b'
