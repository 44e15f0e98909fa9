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
  'sink.redis.store_ahead': {
    fault: 'config',
    cause:
      'The Redis has rows of a topic that come after the next batch of it: they are of another log, which was deleted and begun anew, or the cursor was set back, as it is for a sink that was given another name. The rows would seem older than what is there.',
    remedy:
      'Give a renamed sink its old name again. Else empty the Redis, or give `key` another prefix. `sluice run` goes on by itself at its next try.',
  },
} as const satisfies CodeTable
