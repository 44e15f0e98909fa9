/**
 * Every logical type in every place a query can put it, over topics of each changelog: the query
 * either runs (rows come, change, go, are truncated; state is stored and restored) or is refused when
 * it is compiled, at a place in its text. Nothing may throw while it runs (invariant 5: what fails is
 * a row).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '../../../core/errors/codes.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import { makeBatch, Op, type Batch } from '../../../core/record/batch.ts'
import type { Column, Encoding } from '../../../core/record/column.ts'
import { builderFor, type AnyBuilder } from '../../../core/record/builder.ts'
import { ListBuilder } from '../../../core/record/list-builder.ts'
import { makeSchema, type Changelog, type Schema } from '../../../core/record/schema.ts'
import { isScaledDecimal, typeName, type LogicalType } from '../../../core/record/types.ts'
import { compile, type CompiledQuery } from '../../../core/sql/compile.ts'
import { appendValue } from '../../../core/sql/operators/columns.ts'
import { parseQuery } from '../../../core/sql/parse/parse.ts'
import { sqlSpan } from '../../../core/sql/parse/span.ts'
import { functionNames } from '../../../core/sql/plan/function-table.ts'
import { Decimal } from '../../../core/sql/scalar/decimal.ts'
import type { Scalar } from '../../../core/sql/scalar/functions.ts'
import { Interval } from '../../../core/sql/scalar/interval.ts'
import { rowsOf } from '../../sql/rows.ts'

const uuid = '0189d0a4-7b1e-7c3a-9b1e-0123456789ab'
/** Each type with two values of it, far from one another. */
const samples: readonly (readonly [LogicalType, Scalar, Scalar])[] = [
  [{ kind: 'bool' }, true, false],
  [{ kind: 'int16' }, 7, -32768],
  [{ kind: 'int32' }, 7, -2147483648],
  [{ kind: 'int64' }, 7, -9223372036854775808n],
  [{ kind: 'uint64' }, 7, 18446744073709551615n],
  [{ kind: 'float32' }, 0.5, -0],
  [{ kind: 'float64' }, 0.5, Number.NaN],
  [{ kind: 'decimal', precision: 12, scale: 2 }, 750, -999_999_999_999],
  [{ kind: 'decimal', precision: 18, scale: 0 }, 750, 999_999_999_999_999_999n],
  [{ kind: 'decimal', precision: 40, scale: 5 }, 750, 10n ** 39n],
  [{ kind: 'decimal', precision: 76, scale: 2 }, 750, 10n ** 75n],
  [{ kind: 'decimal', precision: 100, scale: 2 }, new Decimal(1n, 1), new Decimal(5n, 2)],
  [{ kind: 'decimal', precision: null, scale: null }, new Decimal(10n, 1), Number.NaN],
  [{ kind: 'text' }, 'a', '7'],
  [{ kind: 'bytes' }, 'a', '\u00ff\u0000'],
  [{ kind: 'uuid' }, uuid, '00000000-0000-0000-0000-000000000000'],
  [{ kind: 'json' }, '{"a": [1]}', '7'],
  [{ kind: 'date' }, 20_000, -1],
  [{ kind: 'time' }, 1, 86_399_999_999],
  [{ kind: 'timestamp' }, 1_700_000_000_000_000, Infinity],
  [{ kind: 'timestamptz' }, 1_700_000_000_000_000, -Infinity],
  [{ kind: 'interval' }, new Interval(1, 2, 3n), new Interval(0, -30, 0n)],
  [{ kind: 'other', name: 'inet' }, '10.0.0.1', '::1'],
  [{ kind: 'list', element: { kind: 'int32' } }, 'list', 'empty'],
  [{ kind: 'list', element: { kind: 'text' } }, 'list', 'empty'],
]

/** A computed value that is used, so that it is not only bound. */
const expressions = [
  'v IS NULL',
  'v IS DISTINCT FROM v',
  'v = v',
  'v < v',
  'v IN (v, NULL)',
  'v BETWEEN v AND v',
  "v = '7'",
  'v > 7',
  'v LIKE v',
  'v || v',
  "v || '!'",
  '-v',
  ...['+', '-', '*', '/', '%', '^'].flatMap((operator) => [
    `v ${operator} v`,
    `v ${operator} 7`,
    `v ${operator} '7'`,
    `v ${operator} 0.5`,
    `v ${operator} INTERVAL '1 day 02:00'`,
    `DATE '2026-01-01' ${operator} v`,
  ]),
  'CASE WHEN v IS NULL THEN v ELSE v END',
  'CASE v WHEN v THEN 1 END',
  'CASE WHEN k > 1 THEN v END',
  'COALESCE(v, v)',
  'COALESCE(v, NULL)',
  'GREATEST(v, v)',
  'NULLIF(v, v)',
  'NOT v',
  'v IS TRUE',
  'v -> 0',
  "v ->> 'a'",
  "v #>> '{a,0}'",
  'concat(v, v)',
  "concat_ws(',', v, v)",
  ...[
    'bool',
    'int2',
    'int4',
    'int8',
    'float4',
    'float8',
    'numeric',
    'numeric(5,1)',
    'numeric(60,30)',
    'numeric(200,3)',
    'text',
    'varchar(3)',
    'bytea',
    'uuid',
    'json',
    'date',
    'time',
    'timestamp',
    'timestamptz',
    'interval',
  ].map((type) => `v::${type}`),
  ...functionNames.flatMap((name) => [
    `${name}(v)`,
    `${name}(v, v)`,
    `${name}('day', v)`,
    `${name}(v, 2)`,
    `${name}(v, v, v)`,
    `${name}(v, 2, 'x')`,
  ]),
]

const aggregates = [
  'COUNT(v)',
  'COUNT(DISTINCT v)',
  'SUM(v)',
  'SUM(DISTINCT v)',
  'AVG(v)',
  'AVG(DISTINCT v)',
  'MIN(v)',
  'MAX(v)',
  'BOOL_AND(v)',
  'BOOL_OR(v)',
  'MIN(v) FILTER (WHERE k > 1)',
]

const statements = [
  'SELECT * FROM t',
  'SELECT id, v FROM t',
  'SELECT v FROM t',
  'SELECT v, k FROM t WHERE k > 1',
  'SELECT id, v FROM t WHERE k > 1',
  'SELECT v, COUNT(*) AS c FROM t GROUP BY v',
  'SELECT DISTINCT v FROM t',
  'SELECT COUNT(*) AS c FROM (SELECT DISTINCT v FROM t) s',
  'SELECT id, v FROM t UNION ALL SELECT k, v FROM t',
  'SELECT v FROM t UNION SELECT v FROM t',
  'SELECT id, v FROM t UNION ALL SELECT id, 7 AS v FROM t',
  'SELECT id, k::bigint AS v FROM t UNION ALL SELECT id, v FROM t',
  'SELECT id::bigint AS id, v FROM t',
  'SELECT v::text AS v, k FROM t',
  'SELECT v::text AS v, COUNT(*) AS c FROM t GROUP BY v::text',
  "SELECT id, TUMBLE_START(v, INTERVAL '1 hour') AS w FROM t GROUP BY id, TUMBLE(v, INTERVAL '1 hour')",
  ...aggregates.flatMap((call) => [
    `SELECT ${call} AS x FROM t`,
    `SELECT k, ${call} AS x FROM t GROUP BY k`,
    `SELECT c, COUNT(*) AS n FROM (SELECT k, ${call} AS c FROM t GROUP BY k) s GROUP BY c`,
    `SELECT k, COUNT(*) AS n FROM t GROUP BY k HAVING ${call} IS NOT NULL`,
  ]),
]

function schemaOf(type: LogicalType, changelog: Changelog, key: readonly number[]): Schema {
  const fields = [
    { name: 'id', type: { kind: 'int32' }, nullable: false },
    { name: 'v', type, nullable: !key.includes(1) },
    { name: 'k', type: { kind: 'int32' }, nullable: true },
  ] as const
  return makeSchema(fields, changelog === 'append' ? [] : key, changelog)
}

type Sample = readonly [id: number, v: Scalar, k: number | null, weight: 1 | -1, op: number]

function batchOf(schema: Schema, rows: readonly Sample[]): Batch {
  const columns = schema.fields.map(({ type }, i) => {
    const builder = builderFor(type)
    for (const row of rows) {
      const value = row[i] as Scalar
      if (builder instanceof ListBuilder && type.kind === 'list' && value !== null) {
        if (value === 'list')
          appendValue(
            builder.child as AnyBuilder,
            type.element,
            type.element.kind === 'text' ? 'x' : 1,
          )
        builder.endList()
      } else appendValue(builder, type, value)
    }
    return builder.finish()
  })
  return makeBatch(
    schema,
    columns,
    Int32Array.from(rows, (row) => row[3]),
    Uint8Array.from(rows, (row) => row[4]),
    new Float64Array(rows.length).fill(1_700_000_000_000_000),
  )
}

/** The table of core/record/column.ts: a sink's encoder relies on it (invariant 9). */
function assertFits({ encoding }: Column, type: LogicalType): void {
  const wanted: readonly Encoding[] = ((): readonly Encoding[] => {
    switch (type.kind) {
      case 'bool':
        return ['bool']
      case 'int16':
      case 'int32':
      case 'date':
        return ['int32']
      case 'int64':
        return ['float64', 'int64']
      case 'uint64':
        return ['float64', 'uint64']
      case 'float32':
      case 'float64':
      case 'time':
        return ['float64']
      case 'decimal':
        return isScaledDecimal(type) ? ['float64', 'int64', 'bytes'] : ['bytes', 'dictionary']
      case 'timestamp':
      case 'timestamptz':
        return ['float64', 'int64']
      case 'uuid':
      case 'interval':
        return ['fixed16']
      case 'list':
        return ['list', 'bytes']
      default:
        return ['bytes', 'dictionary']
    }
  })()
  assert.ok(wanted.includes(encoding), `${encoding} holds ${typeName(type)}`)
}

/** Null when the query is refused, as it should be. */
function compiled(
  parsed: Awaited<ReturnType<typeof parseQuery>>,
  schema: Schema,
): CompiledQuery | null {
  try {
    return compile(parsed, new Map([['t', schema]]))
  } catch (error) {
    assert.ok(error instanceof SluiceError, String((error as Error).stack))
    assert.equal(error.fault, 'config', error.stack)
    assert.notEqual(sqlSpan(error), null, `no place for: ${error.message}`)
    return null
  }
}

function live(query: CompiledQuery, schema: Schema, a: Scalar, b: Scalar): void {
  const none = schema.key.includes(1) ? a : null
  let execution = query.start()
  const check = (): void => {
    for (const batch of execution.step()) {
      rowsOf(batch)
      batch.columns.forEach((column, i) => assertFits(column, batch.schema.fields[i]!.type))
    }
    for (const { code, message } of execution.rowErrors())
      assert.equal(codes[code].fault, 'row', `${code}: ${message}`)
  }
  const append = schema.changelog === 'append'
  const rows: Sample[] = [
    [1, a, 1, 1, Op.insert],
    [2, b, 2, 1, Op.insert],
    [3, none, null, 1, Op.insert],
    [4, a, 2, 1, Op.insert],
  ]
  execution.push('t', batchOf(schema, rows))
  check()
  const delta = execution.stateDelta()
  const full = execution.fullState()
  execution = query.start()
  execution.restore(null, [delta])
  assert.deepEqual(execution.fullState(), full)
  if (append) return
  const gone: Sample = [1, a, 1, -1, Op.update]
  const changed: Sample = [1, b, 1, 1, Op.update]
  const changes: Sample[] =
    schema.changelog === 'upsert' && !schema.key.includes(1) ? [changed] : [gone, changed]
  execution.push('t', batchOf(schema, [...changes, [4, a, 2, -1, Op.delete]]))
  check()
  execution.truncate('t')
  check()
  execution.stateDelta()
  execution.fullState()
}

for (const [type, a, b] of samples) {
  test(`${typeName(type)} in every place: runs, or is refused when compiled`, async () => {
    const texts = [
      ...statements,
      ...expressions.flatMap((expr) => [
        `SELECT id, ${expr} AS x FROM t`,
        `SELECT k, COUNT(*) AS n FROM t WHERE (${expr}) IS NOT NULL GROUP BY k`,
      ]),
    ]
    const ran = new Set<Changelog>()
    for (const sql of texts) {
      let parsed: Awaited<ReturnType<typeof parseQuery>>
      try {
        parsed = await parseQuery(sql)
      } catch (error) {
        // Some names are keywords with a grammar of their own.
        assert.ok(error instanceof SluiceError && error.fault === 'config', sql)
        continue
      }
      for (const changelog of ['append', 'upsert', 'retract'] as const) {
        for (const key of sql.includes('v FROM') || sql.includes('*') ? [[0], [1]] : [[0]]) {
          const schema = schemaOf(type, changelog, key)
          try {
            const query = compiled(parsed, schema)
            if (query === null) continue
            live(query, schema, a, b)
            ran.add(changelog)
          } catch (error) {
            throw new Error(`${sql} over ${changelog}, key ${key.join()}`, { cause: error })
          }
        }
      }
    }
    assert.equal(ran.size, 3)
  })
}
