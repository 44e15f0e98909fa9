/** The feature-store sink, as the register knows it. */
import type { Problem } from '../../core/connector/problem.ts'
import type { SchemaAbilities, SinkConnector } from '../../core/connector/sink.ts'
import { codes } from '../../core/errors/codes.ts'
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

/** Of a server that takes a connection and says nothing. */
function silent({ target }: FeastConfig): Problem {
  const code = {
    redis: 'redis.unreachable',
    postgres: 'sink.feast.postgres_connection',
    push: 'sink.feast.push_connection',
  } as const
  const { remedy } = codes[code[target.type]]
  const message = `No answer within ${checkTimeoutMs / 1000} s.`
  return { code: code[target.type], severity: 'error', message, remedy }
}

/** Topics and their schemas are not known yet; what concerns a view is said when its topic starts. */
async function check(config: FeastConfig, ctx: SinkContext): Promise<readonly Problem[]> {
  const signal = AbortSignal.timeout(checkTimeoutMs)
  try {
    await using target = await openTarget(config, ctx)
    const problems = await target.check(signal)
    if (config.offline === undefined) return problems
    const { checkOfflineLog } = await import('./offline/open.ts')
    return [...problems, ...(await checkOfflineLog(config.offline, ctx, signal))]
  } catch (error) {
    if (signal.aborted) return [silent(config)]
    if (!(error instanceof SluiceError)) throw error
    return [{ code: error.code, severity: 'error', message: error.message, remedy: error.remedy }]
  }
}
