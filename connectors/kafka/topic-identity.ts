/**
 * Whether the topic that is there is the one that was read: by its id (Kafka 2.8 on), its cluster, and its
 * partitions, of which none can ever be taken away. And what is said when it is not.
 */
import { SluiceError } from '../../core/errors/error.ts'
import type { KafkaTopic } from './driver.ts'
import type { TopicPlace } from './position.ts'

/** In words, why it cannot be the one that was read; null when it can. */
export function differenceOf(
  { cluster, id, next }: TopicPlace,
  found: KafkaTopic,
  foundCluster: string | null,
): string | null {
  if (cluster !== null && foundCluster !== null && cluster !== foundCluster) {
    return `was read from the cluster ${cluster}, and the brokers are of ${foundCluster}`
  }
  if (id !== null && found.id !== null && id !== found.id) {
    return `had the id ${id} and has ${found.id} now: it was deleted and made again`
  }
  if (found.partitions.length < next.length) {
    return `had ${next.length} partitions and has ${found.partitions.length} now: it was deleted and made again`
  }
  return null
}

export function topicRecreated(topic: string, why: string): SluiceError {
  return new SluiceError('source.kafka.topic_recreated', {
    message: `The topic ${topic} is another one than the one in the log: it ${why}.`,
    remedy: `${restartRemedy(topic)} Or, if these are the wrong brokers, correct \`brokers\`.`,
  })
}

export function restartRemedy(topic: string): string {
  return `Set restart: { ${topic}: any text that was not there before, such as today’s date } to read it anew from its \`start\`: rows of a topic without key stay in the log, a topic with a key is emptied first.`
}

export function topicGone(topic: string): SluiceError {
  return new SluiceError('source.kafka.topic_deleted', {
    message: `The topic ${topic} was read and is not there any more.`,
  })
}

export function topicMissing(topic: string): SluiceError {
  return new SluiceError('source.kafka.topic_missing', {
    message: `The topic ${topic} does not exist, or this user may not see it.`,
  })
}
