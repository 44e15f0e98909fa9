/** What is said where a partition does not have the record that is to be read next. */
import { SluiceError } from '../../core/errors/error.ts'
import type { LastRecord } from './last-record.ts'
import type { Partition } from './partitions.ts'
import { restartRemedy } from './topic-identity.ts'

/** What to do about records that were removed before they were read. */
export type LostPolicy = 'stop' | 'earliest' | 'latest'

export function recordsLost({ name, reached }: Partition, begin: number): SluiceError {
  return new SluiceError('source.kafka.records_lost', {
    message: `Records of ${name} were removed before they were read: the log is at offset ${reached}, the partition begins at ${begin}.`,
  })
}

export function beyondEnd({ name, reached, topic }: Partition, end: number): SluiceError {
  return new SluiceError('source.kafka.offset_beyond_end', {
    message: `${name} ends at offset ${end}, and the log is at ${reached}: the topic was deleted and made again, or has lost its newest records.`,
    remedy: restartRemedy(topic.name),
  })
}

export function recordsReplaced({ name, topic }: Partition, [offset]: LastRecord): SluiceError {
  // An id that is still the same says that it is no other topic.
  const why =
    topic.id === null ? 'the topic was deleted and made again, or has' : 'the partition has'
  return new SluiceError('source.kafka.records_replaced', {
    message: `The record of ${name} at offset ${offset} is another one than the one that was read: ${why} lost its newest records, and others came in their place.`,
    remedy: restartRemedy(topic.name),
  })
}
