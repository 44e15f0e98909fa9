/** The feast sink with an offline log, for tests of what looks at both of its stores. */
import type { FeatureAgreement, VerifyOptions } from '../../../../core/connector/feature-tools.ts'
import type { Sink } from '../../../../core/connector/sink.ts'
import { makeSchema } from '../../../../core/record/schema.ts'
import { feast } from '../../../../sinks/feast/connector.ts'
import { batchOf, type Row } from '../../../conformance/rows.ts'
import { quietContext } from '../../../support/context.ts'
import { step } from '../../../support/schema-step.ts'

export const signal = new AbortController().signal
export const topic = 'shop.users'

export const schema = makeSchema(
  [
    { name: 'user_id', type: { kind: 'int64' }, nullable: false },
    { name: 'at', type: { kind: 'timestamptz' }, nullable: true },
    { name: 'score', type: { kind: 'int64' }, nullable: true },
    { name: 'name', type: { kind: 'text' }, nullable: true },
  ],
  [0],
  'upsert',
)

export interface Stores {
  readonly target: Readonly<Record<string, unknown>>
  /** Folder of the offline log. */
  readonly folder: string
  readonly view?: Readonly<Record<string, unknown>>
}

export function configOf({
  target,
  folder,
  view = {},
}: Stores): ReturnType<typeof feast.config.parse> {
  return feast.config.parse({
    project: 'shop',
    target,
    views: { users: { event_timestamp: 'at', ...view } },
    offline: { url: `file://${folder}`, compaction: false },
  })
}

export async function openUsers(stores: Stores): Promise<Sink> {
  const sink = await feast.open(configOf(stores), [{ name: topic, schema }], quietContext())
  await sink.evolve(topic, step(null, schema), signal)
  return sink
}

export function userRow(id: number, atMs: number, score: number | null = id): Row {
  return { values: { user_id: BigInt(id), at: atMs * 1000, score, name: `user ${id}` } }
}

export function goneRow(id: number, timeMs: number): Row {
  return { weight: -1, op: 'delete', timeUs: timeMs * 1000, values: { user_id: BigInt(id) } }
}

export async function send(sink: Sink, rows: readonly Row[], offset: number): Promise<void> {
  const batch = batchOf(schema, rows)
  const sent = { id: `b${offset}`, topic, batch, offset, attempt: 1 }
  const { rejected } = await sink.write(sent, signal)
  if (rejected.length > 0) throw new Error(rejected[0]!.message)
}

/** Per feature `[keys, mismatched, missing, extra]`. */
export async function verify(
  stores: Stores,
  options: Partial<VerifyOptions> = {},
): Promise<{
  readonly counts: Readonly<Record<string, readonly number[]>>
  readonly agreements: readonly FeatureAgreement[]
}> {
  const agreements = await feast.features!.verify(
    configOf(stores),
    {
      topics: [{ name: topic, schema }],
      views: null,
      sample: null,
      asOfMs: Date.now(),
      seed: 1,
      signal,
      ...options,
    },
    quietContext(),
  )
  const counts = Object.fromEntries(
    agreements.map(({ feature, keys, mismatched, missing, extra }) => [
      feature,
      [keys, mismatched, missing, extra],
    ]),
  )
  return { counts, agreements }
}
