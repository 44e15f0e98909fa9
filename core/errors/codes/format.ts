import type { CodeTable } from './table.ts'

/** Codes that begin with `format.`: what becomes of a message's bytes. */
export const formatCodes = {
  'format.value': {
    fault: 'row',
    cause: 'A message is not written in the format that its topic is declared to have.',
    remedy:
      'Compare the dead letter’s value with `format` of the topic; `sluice schema infer` reads a sample and says what it finds. Messages of several kinds belong into several topics.',
  },
  'format.field': {
    fault: 'row',
    cause: 'A field of a message does not fit the type that the topic’s schema gives it.',
    remedy:
      'Widen the column in `schema` (a `?` after the type lets it be missing or null; `json` takes any value, `text` any scalar), or correct the producer.',
  },
  'format.key': {
    fault: 'row',
    cause: 'The key columns of a message are neither in its value nor to be read from its key.',
    remedy:
      'Check `key` and `key_format` of the topic: key_format says how the key’s bytes are written (json, text, …), and key which columns they are.',
  },
  'format.tombstone': {
    fault: 'row',
    cause: 'A message without value, which takes a key away, in a topic that cannot follow it.',
    remedy:
      'Give the topic a `key` and a `key_format`, so that the row of that key is deleted; or pass such messages over with tombstones: ignore.',
  },
  'format.schema': {
    fault: 'config',
    cause: 'The columns of a topic contradict each other.',
    remedy: 'Correct `schema`, `key` and `columns` of the topic as the message says.',
  },
} as const satisfies CodeTable
