SELECT g, COUNT(*) AS c, COUNT(k) AS ck, SUM(k) AS sk, SUM(d) AS sd, SUM(n) AS sn, SUM(f) AS sf,
       AVG(k) AS ak, AVG(d) AS ad, AVG(f) AS af, MIN(k) AS mink, MAX(k) AS maxk, MIN(d) AS mind,
       MAX(n) AS maxn, MIN(f) AS minf, MAX(f) AS maxf, MIN(ts) AS mints, MAX(g) AS maxg,
       bool_and(b) AS ba, bool_or(b) AS bo
FROM t GROUP BY g
