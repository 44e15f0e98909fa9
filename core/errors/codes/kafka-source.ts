import type { CodeTable } from './table.ts'

/** Codes that begin with `source.kafka.` and are about topics and offsets; what brokers say is in kafka.ts. */
export const kafkaSourceCodes = {
  'source.kafka.topic_missing': {
    fault: 'config',
    cause: 'A topic that is listed by its name does not exist, or is not to be seen by this user.',
    remedy:
      'Correct the name in `topics`, create the topic, or allow the user to DESCRIBE it. Topics that are made later are found by a pattern, such as orders*.',
  },
  'source.kafka.topic_deleted': {
    fault: 'config',
    cause:
      'A topic that was read is not there any more. What it held behind the position in the log is gone with it.',
    remedy:
      'Take the topic out of `topics`, or set on_deleted: keep, to go on with the others. Its rows stay in the log either way.',
  },
  'source.kafka.topic_recreated': {
    fault: 'config',
    cause:
      'A topic is another one than the one that was read, under the same name: it was deleted and made again, or the brokers are of another cluster. Offsets in the log mean nothing in it.',
    remedy:
      'Set restart: {<topic>: <any text that was not there before>} to read it anew from its `start`; or point `brokers` at the cluster that was read before.',
  },
  'source.kafka.records_replaced': {
    fault: 'config',
    cause:
      'Another record is where the last one was that was read of a partition: the topic was deleted and made again under the same name, or its newest records were lost by an unclean leader election or a restore and others came in their place. Going on would pass over records.',
    remedy:
      'Set restart: {<topic>: <any text that was not there before>} to read it anew from its `start`, which may be a time; or point `brokers` at the cluster that was read before.',
  },
  'source.kafka.offset_beyond_end': {
    fault: 'config',
    cause:
      'A partition ends before the place that was read up to: the topic was deleted and made again, or its newest records were lost by an unclean leader election or a restore.',
    remedy:
      'Set restart: {<topic>: <any text that was not there before>} to read the topic anew from its `start`.',
  },
  'source.kafka.records_lost': {
    fault: 'config',
    cause:
      'A partition begins behind the place that was read up to: its retention, or somebody, removed records that were not read.',
    remedy:
      'Those records are gone. Set on_lost: earliest to go on with the first record there is, or latest with the next one to come; and raise retention.ms or retention.bytes of the topic.',
  },
  'source.kafka.position': {
    fault: 'config',
    cause: 'An offset is beyond 2^53, up to where Sluice counts.',
    remedy: 'Make the topic anew; no broker gets there by counting records.',
  },
  'source.kafka.no_leader': {
    fault: 'transient',
    cause: 'A partition has no leader at the moment, or its leader is moving.',
    remedy:
      'See `kafka-topics --describe --unavailable-partitions`; Sluice goes on by itself as soon as there is a leader.',
  },
} as const satisfies CodeTable
