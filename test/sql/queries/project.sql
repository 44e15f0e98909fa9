SELECT id, upper(g) AS g, k + 1 AS k1, d * 2 AS d2, ts FROM t
