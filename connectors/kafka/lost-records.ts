/** What is said where a partition does not have the record that is to be read next. */
import { SluiceError } from '../../core/errors/error.ts'
import type { Partition } from './partitions.ts'
import { restartRemedy } from './topic-identity.ts'

/** What to do about records that were removed before they were read. */
export type LostPolicy = 'stop' | 'earliest' | 'latest'

export function recordsLost({ name, asked }: Partition, begin: number): SluiceError {
  return new SluiceError('source.kafka.records_lost', {
    message: `Records of ${name} were removed before they were read: the log is at offset ${asked}, the partition begins at ${begin}.`,
  })
}

export function beyondEnd({ name, asked, topic }: Partition, end: number): SluiceError {
  return new SluiceError('source.kafka.offset_beyond_end', {
    message: `${name} ends at offset ${end}, and the log is at ${asked}: the topic was deleted and made again, or has lost its newest records.`,
    remedy: restartRemedy(topic.name),
  })
}
