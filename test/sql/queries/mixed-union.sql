SELECT id::bigint AS x, v::text AS y FROM t UNION ALL SELECT v, g FROM s
