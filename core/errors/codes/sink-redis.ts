import type { CodeTable } from './table.ts'

/** The Redis sink (sinks/redis); what goes wrong with the server is under `redis.`. */
export const sinkRedisCodes = {
  'sink.redis.key': {
    fault: 'config',
    cause: 'The rows of a topic cannot have the Redis keys that `key` describes.',
    remedy:
      'Correct `key`: text with {topic}, {key} and the columns of the key. Of a topic whose column has a name that is taken, rename the column in a transform.',
  },
  'sink.redis.not_text': {
    fault: 'row',
    cause: 'A text of the row is not valid UTF-8, which JSON cannot hold.',
    remedy: 'Use `format: hash`, which keeps bytes as they are, or select the column as bytes.',
  },
} as const satisfies CodeTable
