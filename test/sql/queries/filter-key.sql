SELECT id, g || '!' AS g FROM t WHERE id % 2 = 0
