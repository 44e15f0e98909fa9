SELECT id::bigint AS wide, id::text AS name, g, d FROM t WHERE k > 0
