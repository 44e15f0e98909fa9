/** What the brokers remove before it can be read: too soon for a pipeline that stands still, or already. */
import type { Context } from '../../core/connector/context.ts'
import { durationOf } from '../../core/connector/duration.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { KafkaClient } from './client.ts'
import type { TopicConfig } from './wire/configs.ts'

const dayMs = 86_400_000
const keys = ['retention.ms', 'cleanup.policy']

export async function retentionProblems(
  client: KafkaClient,
  topics: readonly string[],
  startMs: (topic: string) => number | null,
  { clock }: Pick<Context, 'clock'>,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  if (topics.length === 0) return []
  let configs: readonly TopicConfig[]
  try {
    configs = await client.topicConfigs(topics, keys, signal)
  } catch (error) {
    // Somebody who may read a topic need not be allowed to see its settings.
    if (error instanceof SluiceError) return []
    throw error
  }
  return configs.flatMap((config) => problemsOf(config, startMs(config.topic), clock.nowMs()))
}

function problemsOf(
  { error, topic, values }: TopicConfig,
  startMs: number | null,
  nowMs: number,
): readonly Problem[] {
  const keptMs = Number(values.get('retention.ms') ?? -1)
  // One that is only compacted loses what is replaced, and that is what it is for.
  const removes = (values.get('cleanup.policy') ?? 'delete').includes('delete')
  if (error !== 0 || !removes || keptMs < 0) return []
  const kept = durationOf(keptMs)
  if (startMs !== null && nowMs - startMs > keptMs) {
    return [
      {
        code: 'source.kafka.retention',
        severity: 'warning',
        message: `Topic ${topic} keeps its records for ${kept}, and \`start\` is before that: reading begins with the first record there is.`,
        remedy: 'Set `start: earliest` to say so, or a later time.',
      },
    ]
  }
  if (keptMs >= dayMs) return []
  return [
    {
      code: 'source.kafka.retention',
      severity: 'warning',
      message: `Topic ${topic} keeps its records for ${kept}: a pipeline that stands still for longer loses some.`,
      remedy: `kafka-configs --bootstrap-server <broker> --alter --entity-type topics --entity-name "${topic}" --add-config retention.ms=604800000`,
    },
  ]
}
