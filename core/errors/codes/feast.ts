import type { CodeTable } from './table.ts'

/** Codes of feature stores. */
export const feastCodes = {
  'sink.feast.view': {
    fault: 'config',
    cause: 'A feature view does not fit the topic whose rows it takes, or what Feast can hold.',
    remedy: 'Correct the view under `views`; the message names the column.',
  },
  'sink.feast.topic': {
    fault: 'config',
    cause: 'It is not clear which view takes the rows of a topic.',
    remedy: 'Name the topic under `topic` of a view, or take it out of `from`.',
  },
  'sink.feast.collision': {
    fault: 'config',
    cause:
      'Two features of one entity have names with the same hash, by which Feast names them in Redis: one would overwrite the other.',
    remedy: 'Rename one of the features or views.',
  },
  'sink.feast.value': {
    fault: 'row',
    cause:
      'A value is one that its Feast type cannot hold exactly: a fraction of a second, an infinity, a null in a list, an integer beyond 2^63 − 1, text that is not UTF-8.',
    remedy:
      'The row is a dead letter, the rest goes on. Choose a type that holds it under `types`, or change the value in a transform.',
  },
  'sink.feast.entity': {
    fault: 'row',
    cause:
      'An entity of the row is null or has no place in an entity key, or the key is too long for the index of a Postgres store.',
    remedy: 'The row is a dead letter, the rest goes on. Filter such rows out in a transform.',
  },
  'sink.feast.event_time': {
    fault: 'row',
    cause: 'The event time of the row is null, infinite, or not in the years 1 to 9999.',
    remedy:
      'The row is a dead letter, the rest goes on. Correct the value, or leave `event_timestamp` out: then the time of the commit counts.',
  },
  'sink.feast.store_ahead': {
    fault: 'config',
    cause:
      'The online store has rows of a view that come after the next batch of its topic: they are of another log, which was deleted and begun anew, or the cursor was set back, as it is for a sink that was given another name. The rows would seem older than what is there.',
    remedy:
      'Give a renamed sink its old name again. Else empty the store, or give the sink another `project`. `sluice run` goes on by itself at its next try.',
  },
} as const satisfies CodeTable
