/** Preflight of the source: brokers and topics, then the registries and the schemas of the pipeline file. */
import type { Context } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { wantedOf, type KafkaConfig } from './config.ts'
import { brokerProblems } from './preflight.ts'
import type { SchemaRegistry } from './registry/client.ts'
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
  const { names, patterns } = wantedOf(config)
  const problems: Problem[] = []
  const subjects = new Map<SchemaRegistry, WantedSubject[]>()
  const wrong = new Set<string>()
  const look = (topic: string, atWhat: () => void): void => {
    const problem = problemOf(topic, atWhat)
    if (problem === null) return
    wrong.add(topic)
    problems.push(problem)
  }
  for (const topic of [...names, ...patterns]) {
    look(topic, () => {
      // Lays its columns out, where they are known without a registry.
      formats.decoderOf(topic).take()
      const registry = formats.registryOf(topic)
      if (registry === null || patterns.includes(topic)) return
      subjects.set(registry, [...(subjects.get(registry) ?? []), ...formats.subjectsOf(topic)])
    })
  }
  for (const [registry, own] of subjects) {
    problems.push(...(await registryProblems(registry, own, signal)))
    for (const topic of new Set(own.map((subject) => subject.topic))) {
      const told = own.filter((subject) => subject.topic === topic)
      if (!wrong.has(topic)) look(topic, () => formats.checkColumns(topic, told))
    }
  }
  return problems
}

/** What it throws as a problem of the topic. */
function problemOf(topic: string, atWhat: () => void): Problem | null {
  try {
    atWhat()
    return null
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    const { code, message, remedy } = error
    const named = message.includes(topic) ? message : `${topic}: ${message}`
    return { code, severity: 'error', message: named, remedy }
  }
}
