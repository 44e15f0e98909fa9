/** Rows of one view by hand, the store's contents as a reader sees them, and the rules as a model. */
import type { SinkContext } from '../../../../core/connector/context.ts'
import { Secret } from '../../../../core/connector/secret.ts'
import { makeSchema } from '../../../../core/record/schema.ts'
import { BytesOut } from '../../../../sinks/feast/bytes-out.ts'
import { openPostgresTarget, type PostgresTarget } from '../../../../sinks/feast/postgres/target.ts'
import { FeatureOp, type FeatureRows } from '../../../../sinks/feast/target.ts'
import type { FeatureView } from '../../../../sinks/feast/view.ts'
import type { PostgresServer } from '../../../services/postgres.ts'
import { quietContext } from '../../../support/context.ts'

export const signal = new AbortController().signal

export function viewOf(more: Partial<FeatureView> = {}): FeatureView {
  const int64 = { kind: 'int64' } as const
  return {
    name: 'users',
    stored: 'users',
    project: 'shop',
    topic: 'shop.users',
    schema: makeSchema(
      [
        { name: 'id', type: int64, nullable: false },
        { name: 'score', type: int64, nullable: true },
      ],
      [0],
      'upsert',
    ),
    entities: [{ name: 'id', index: 0, logical: int64, type: 'int64' }],
    features: [
      { name: 'score', index: 1, logical: int64, type: { kind: 'scalar', name: 'int64' } },
    ],
    eventTime: null,
    order: 'time',
    ttlMs: null,
    onDelete: 'remove',
    ...more,
  }
}

export interface Change {
  readonly key: number
  readonly offset: number
  /** Seconds since 1970. */
  readonly at: number
  /** null: a deletion. */
  readonly score: number | null
  /** Offset of the entity's last deletion in the batch, of a row that is none. */
  readonly deletedAt?: number
}

export function featureRows(view: FeatureView, changes: readonly Change[]): FeatureRows {
  const count = changes.length
  const keys = new Uint8Array(count)
  const values = new BytesOut()
  const offsets = new Int32Array(count + 1)
  for (const [i, { key, score }] of changes.entries()) {
    keys[i] = key
    if (score !== null) {
      values.ensure(16)
      values.bytes[values.end++] = 0x20
      values.signedVarint(score)
    }
    offsets[i + 1] = values.end
  }
  return {
    view,
    count,
    rows: Int32Array.from(changes, (_, i) => i),
    ops: Uint8Array.from(changes, ({ score }) =>
      score === null ? FeatureOp.delete : FeatureOp.set,
    ),
    offsets: Float64Array.from(changes, ({ offset }) => offset),
    deletedAt: Float64Array.from(changes, ({ offset, score, deletedAt }) =>
      score === null ? offset : (deletedAt ?? -1),
    ),
    seconds: Float64Array.from(changes, ({ at }) => at),
    nanos: new Int32Array(count),
    keys,
    keyOffsets: Int32Array.from({ length: count + 1 }, (_, i) => i),
    values: [{ data: values.bytes, offsets }],
  }
}

export function openTarget(
  url: string,
  ctx: SinkContext = quietContext(),
  { tombstones = 7 * 86_400_000, timeout = 30_000 } = {},
): PostgresTarget {
  const config = { type: 'postgres', url: new Secret(url), schema: 'public', timeout } as const
  return openPostgresTarget(config, { tombstones }, ctx)
}

/** As `online_store` of a feature_store.yaml. */
export function onlineStore(server: PostgresServer): Readonly<Record<string, unknown>> {
  const { host, port, user, password } = server
  const place = { type: 'postgres', host, port, database: 'postgres', db_schema: 'public' }
  return { ...place, user, password, sslmode: 'disable' }
}

/** Score by key, as Feast would read it: null where it is there and null. */
export async function scores(
  server: PostgresServer,
  table = 'shop_users',
): Promise<Map<number, number | null>> {
  const rows = await server.query<{ entity_key: Buffer; value_text: string | null }>(
    `SELECT entity_key, value_text FROM "${table}" WHERE feature_name = 'score'`,
  )
  return new Map(
    rows.map(({ entity_key, value_text }) => [
      entity_key[0]!,
      value_text === null ? null : Number(value_text),
    ]),
  )
}

/** What is left by the rules of target.ts when every change was delivered, in whatever order. */
export function model(
  changes: readonly Change[],
  order: 'time' | 'log',
): Map<number, number | null> {
  const left = new Map<number, number | null>()
  for (const key of new Set(changes.map((change) => change.key))) {
    const own = changes.filter((change) => change.key === key)
    const deletedAt = Math.max(
      -1,
      ...own.filter(({ score }) => score === null).map(({ offset }) => offset),
    )
    const since = own.filter(({ offset, score }) => score !== null && offset > deletedAt)
    const newest = since.sort((a, b) => (order === 'time' ? a.at - b.at : 0) || a.offset - b.offset)
    if (newest.length > 0) left.set(key, newest.at(-1)!.score)
  }
  return left
}
