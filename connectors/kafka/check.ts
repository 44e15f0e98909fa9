/** Preflight of the source: brokers and topics, then the registries and the schemas of the pipeline file. */
import type { Context } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { wantedOf, type KafkaConfig } from './config.ts'
import { brokerProblems } from './preflight.ts'
import { registryProblems, type WantedSubject } from './registry/preflight.ts'
import { TopicFormats } from './topic-formats.ts'

/** Finds all that is wrong; throws only for an abort. */
export async function checkKafka(config: KafkaConfig, ctx: Context): Promise<readonly Problem[]> {
  const stop = new AbortController()
  const wanted = wantedOf(config)
  const startOf = (topic: string) => wanted.settingsOf(topic)?.startOf(topic) ?? null
  const brokers = brokerProblems(
    {
      driver: config,
      names: wanted.names,
      patterns: wanted.patterns,
      isWanted: (topic) => wanted.settingsOf(topic) !== null,
      group: config.group ?? null,
      groupIsNeeded: [...wanted.names, ...wanted.patterns].some(
        (name) => startOf(name)?.kind === 'group',
      ),
      startMs: (topic) => {
        const start = startOf(topic)
        return start?.kind === 'time' ? start.timeMs : null
      },
    },
    ctx,
    stop.signal,
  )
  const [ofBrokers, ofFormats] = await Promise.all([
    brokers,
    formatProblems(config, ctx, stop.signal),
  ])
  return [...ofBrokers, ...ofFormats]
}

/** Of topics by their names, and of patterns: which topics these find, and their subjects, is not known here. */
async function formatProblems(
  config: KafkaConfig,
  ctx: Context,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  await using formats = new TopicFormats(config, ctx.clock)
  const wanted = wantedOf(config)
  const problems: Problem[] = []
  const subjects = new Map<ReturnType<TopicFormats['registryOf']>, WantedSubject[]>()
  for (const topic of [...wanted.names, ...wanted.patterns]) {
    try {
      formats.decoderOf(topic)
      if (wanted.patterns.includes(topic)) continue
      for (const subject of formats.subjectsOf(topic)) {
        const registry = formats.registryOf(topic)
        subjects.set(registry, [...(subjects.get(registry) ?? []), subject])
      }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      const { code, message, remedy } = error
      const named = message.includes(topic) ? message : `${topic}: ${message}`
      problems.push({ code, severity: 'error', message: named, remedy })
    }
  }
  for (const [registry, own] of subjects) {
    if (registry !== null) problems.push(...(await registryProblems(registry, own, signal)))
  }
  return problems
}
