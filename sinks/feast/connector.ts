/** The feature-store sink, as the register knows it. */
import type { Problem } from '../../core/connector/problem.ts'
import type { SchemaAbilities, SinkConnector } from '../../core/connector/sink.ts'
import { codes, type Code } from '../../core/errors/codes.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { SinkContext } from '../../core/connector/context.ts'
import { feastConfig, type FeastConfig } from './config.ts'
import { Freshness } from './freshness.ts'
import type { OfflineLog } from './offline/log.ts'
import { FeastSink } from './sink.ts'
import { openTarget } from './targets.ts'

const checkTimeoutMs = 30_000

/** A value says its own type. Entities are what keys are made of: other ones are other keys. */
const schemaChanges: SchemaAbilities = {
  add: 'absorbs',
  widen: 'absorbs',
  narrow: 'absorbs',
  rename: 'applies',
  drop: 'applies',
  key: 'refuses',
  truncate: 'applies',
}

export const feast: SinkConnector<FeastConfig> = {
  kind: 'feast',
  config: feastConfig,
  delivery: 'idempotent',
  schemaChanges,
  // A push writes rows, and can neither move nor remove what the server has.
  schemaVariants: [
    {
      name: 'push',
      matches: ({ target }) => target.type === 'push',
      abilities: { ...schemaChanges, rename: 'refuses', drop: 'refuses', truncate: 'refuses' },
    },
  ],
  // Large enough that a round's commit is a small part of it, small enough to be sent in 0.2 s.
  batching: () => ({ rowsMax: 20_000, bytesMax: 8 * 2 ** 20, pauseMsMin: 0, pauseMsMax: 100 }),
  topicsNamed: ({ views }) =>
    Object.entries(views).map(([name, { topic = null }]) =>
      topic === null
        ? { path: ['views', name], as: 'key', topic, match: 'tail' }
        : { path: ['views', name, 'topic'], as: 'value', topic, match: 'tail' },
    ),
  check,
  open: async (config, topics, ctx) => {
    const online = await openTarget(config, ctx)
    const freshness = new Freshness(config.freshness_slo ?? null, ctx)
    return new FeastSink(config, topics, {
      online,
      offline: await openOffline(config, ctx),
      freshness,
    })
  },
  features: {
    verify: async (config, options, ctx) =>
      (await import('./verify/verify.ts')).verifyFeatures(config, options, ctx),
    export: async (config, topics, ctx) =>
      (await import('./export/export.ts')).exportFeatures(config, topics, ctx),
  },
}

async function openOffline(
  { offline, views }: FeastConfig,
  ctx: SinkContext,
): Promise<OfflineLog | null> {
  if (offline === undefined) return null
  const { openOfflineLog } = await import('./offline/open.ts')
  const log = openOfflineLog(offline, ctx)
  for (const view of Object.keys(views)) log.watch(view)
  return log
}

/** Topics and their schemas are not known yet; what concerns a view is said when its topic starts. */
async function check(config: FeastConfig, ctx: SinkContext): Promise<readonly Problem[]> {
  const { offline } = config
  const target = within(
    async (signal) => {
      await using opened = await openTarget(config, ctx)
      return opened.check(signal)
    },
    silentCodes[config.target.type],
    'the online store',
  )
  if (offline === undefined) return target
  const log = within(
    async (signal) => (await import('./offline/open.ts')).checkOfflineLog(offline, ctx, signal),
    'store.unavailable',
    'the offline log',
  )
  return (await Promise.all([target, log])).flat()
}

const silentCodes = {
  redis: 'redis.unreachable',
  postgres: 'sink.feast.postgres_connection',
  push: 'sink.feast.push_connection',
} as const

/** `silent`: said of a server that takes a connection and says nothing. */
async function within(
  look: (signal: AbortSignal) => Promise<readonly Problem[]>,
  silent: Code,
  what: string,
): Promise<readonly Problem[]> {
  const signal = AbortSignal.timeout(checkTimeoutMs)
  try {
    return await look(signal)
  } catch (error) {
    const { remedy } = codes[silent]
    const message = `No answer of ${what} within ${checkTimeoutMs / 1000} s.`
    if (signal.aborted) return [{ code: silent, severity: 'error', message, remedy }]
    if (!(error instanceof SluiceError)) throw error
    return [{ code: error.code, severity: 'error', message: error.message, remedy: error.remedy }]
  }
}
