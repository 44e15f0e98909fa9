/**
 * What a pipeline file may say under a sink of `type: feast`. The docs and the JSON Schema are
 * generated from the descriptions here. What needs the schema of a topic (is there such a column, may
 * it be an entity) is judged in view.ts when the topic's first rows come.
 */
import { z } from 'zod'
import { durationText } from '../../core/connector/duration.ts'
import { judgeRedisKeys, redisKeys } from '../../core/connector/redis-config.ts'
import { secretText } from '../../core/connector/secret.ts'
import { offlineConfig } from './offline/config.ts'
import { scalarNames } from './types.ts'

const day = 86_400_000
const ttlMsMax = 100 * 366 * day

/** Feast takes letters of any script, digits, `_` and `-`, and no `_` or `-` in front (`is_valid_name`). */
const projectName = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N}_-]*$/u, {
    error:
      'expected a name as Feast takes it: letters, digits, "_" and "-", beginning with a letter or digit',
  })
  .meta({ description: 'Feast project; part of every key.' })

/** `:` and `@` part a view from its features and its version in Feast's references. */
const name = z.string().regex(/^[^:@\s]+$/, {
  error: 'expected a name without spaces, ":" and "@", which Feast keeps for references',
})
const column = z.string().min(1)

const onDelete = z.enum(['remove', 'null', 'keep'])

const redisTarget = z
  .strictObject({
    type: z.literal('redis'),
    ...redisKeys,
  })
  .superRefine(judgeRedisKeys)
  .meta({
    description: 'Feast’s Redis online store: Redis 7.0 or later, Valkey, a cluster of either.',
  })

const postgresTarget = z
  .strictObject({
    type: z.literal('postgres'),
    url: secretText('Address: `postgres://user:password@host:5432/database`.'),
    schema: z.string().min(1).default('public').meta({ description: 'Schema of the tables.' }),
    timeout: durationText('Longest wait for an answer.', {
      minMs: 100,
      maxMs: 3_600_000,
    }).prefault('60s'),
  })
  .meta({ description: 'Feast’s Postgres online store.' })

const pushTarget = z
  .strictObject({
    type: z.literal('push'),
    url: secretText('Address of Feast’s feature server: `http://host:6566`.'),
    source: z.string().min(1).default('{view}_push').meta({
      description: 'Name of the push source of a view; `{view}` is the name of the view.',
    }),
    headers: z.record(z.string(), secretText('Value of the header.')).default({}).meta({
      description: 'More headers, such as `authorization`.',
    }),
    to: z.enum(['online', 'online_and_offline']).default('online').meta({
      description: 'Which of Feast’s stores the server writes.',
    }),
  })
  .meta({ description: 'Feast’s feature server (`feast serve`), by its push API.' })

const target = z
  .discriminatedUnion('type', [redisTarget, postgresTarget, pushTarget])
  .meta({ description: 'The online store.' })

const view = z
  .strictObject({
    topic: z.string().min(1).optional().meta({
      description:
        'Topic whose rows it takes, by its full name or a unique tail of it. May be left out when the sink takes one topic.',
    }),
    entities: z.array(column).min(1).optional().meta({
      description: 'Columns that are the join keys; the key of the topic when absent.',
    }),
    event_timestamp: column.optional().meta({
      description:
        'Column with the time at which the features were true: the newest wins, whatever order rows come in. When absent it is the time of the commit, and the last change in the order of the log wins.',
    }),
    features: z.array(name).min(1).optional().meta({
      description:
        'Columns that are features; all that are neither entity nor event time when absent.',
    }),
    types: z.record(column, z.enum(scalarNames)).default({}).meta({
      description:
        'Feast value types by column, where the default does not fit (an INT64 entity from an integer column). Only types that hold the values exactly; for lists, the type of the elements.',
    }),
    ttl: durationText('How long features live after their event time; for ever when absent.', {
      minMs: 1000,
      maxMs: ttlMsMax,
    }).optional(),
    on_delete: onDelete.optional().meta({
      description: 'As `on_delete` of the sink, for this view.',
    }),
    version: z
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .optional()
      .meta({
        description:
          'Version of the view, for stores with `enable_online_feature_view_versioning`: rows go to `<view>_v<version>`.',
      }),
  })
  .superRefine((found, ctx) => {
    repeated(found.entities, 'entities', ctx)
    repeated(found.features, 'features', ctx)
    for (const [i, feature] of (found.features ?? []).entries()) {
      if (found.entities?.includes(feature) === true) {
        const message = `${JSON.stringify(feature)} is an entity of this view: Feast takes no name twice`
        ctx.addIssue({ code: 'custom', path: ['features', i], message })
      }
    }
    if (
      found.event_timestamp !== undefined &&
      found.entities?.includes(found.event_timestamp) === true
    ) {
      const message = 'the event time cannot be an entity too: every event would be its own entity'
      ctx.addIssue({ code: 'custom', path: ['event_timestamp'], message })
    }
  })
  .meta({ description: 'A feature view.' })

function repeated(
  names: readonly string[] | undefined,
  key: string,
  ctx: z.core.$RefinementCtx,
): void {
  for (const [i, found] of (names ?? []).entries()) {
    if (names!.indexOf(found) === i) continue
    const message = `${JSON.stringify(found)} is named twice`
    ctx.addIssue({ code: 'custom', path: [key, i], message })
  }
}

export const feastConfig = z
  .strictObject({
    project: projectName,
    target,
    views: z
      .record(name, view)
      .refine((views) => Object.keys(views).length > 0, { error: 'expected at least one view' })
      .meta({ description: 'Feature views by name.' }),
    on_delete: onDelete.default('remove').meta({
      description:
        'What a deleted row does to the features of its entity. remove: they go. null: they become null. keep: they stay as they are.',
    }),
    tombstones: durationText(
      'How long a deleted entity is remembered, so that an older row that comes late does not bring it back.',
      { minMs: 1000, maxMs: ttlMsMax },
    ).prefault('7d'),
    freshness_slo: durationText(
      'How old the newest features of a view may be; shown and measured.',
      {
        minMs: 1,
      },
    ).optional(),
    offline: offlineConfig.optional(),
  })
  .superRefine(({ views }, ctx) => {
    const names = new Map<string, string>()
    const bare = Object.keys(views).filter((key) => views[key]!.topic === undefined)
    for (const [key, { version }] of Object.entries(views)) {
      const stored = storedName(key, version)
      const other = names.get(stored)
      if (other !== undefined) {
        const message = `views ${other} and ${key} are both stored as ${stored}`
        ctx.addIssue({ code: 'custom', path: ['views', key], message })
      }
      names.set(stored, key)
    }
    if (bare.length === 0 || bare.length === Object.keys(views).length) return
    for (const key of bare) {
      const message = 'expected a topic, since other views name theirs'
      ctx.addIssue({ code: 'custom', path: ['views', key], message })
    }
  })

export type FeastConfig = z.output<typeof feastConfig>
export type ViewConfig = FeastConfig['views'][string]
export type TargetConfig = FeastConfig['target']
export type RedisTargetConfig = Extract<TargetConfig, { readonly type: 'redis' }>
export type OnDelete = z.output<typeof onDelete>

/** The view's name in the store, as Feast's `compute_versioned_name` makes it. */
export function storedName(view: string, version: number | undefined): string {
  return version === undefined ? view : `${view}_v${version}`
}
