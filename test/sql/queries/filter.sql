SELECT id, g, v FROM t WHERE k > 0 AND g <> 'a'
