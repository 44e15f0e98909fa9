SELECT CASE WHEN k > 0 THEN 'pos' WHEN k < 0 THEN 'neg' ELSE 'other' END AS sign, COUNT(*) AS n FROM t GROUP BY sign
