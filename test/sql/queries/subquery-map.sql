SELECT kk, gg FROM (SELECT k * 2 AS kk, coalesce(g, '-') AS gg, b FROM t WHERE id > 1) q WHERE kk <> 4 AND b
