/**
 * The judge of a crash run: after everything has come to rest, the source's tables, the folded log,
 * the ClickHouse views, the append table and what the webhook receiver answered must agree.
 */
import type { Log } from '../../core/log/log.ts'
import { ChainReader } from '../../core/log/reader.ts'
import { rowKey } from '../../core/record/key.ts'
import { textAt } from '../../core/record/value.ts'
import type { ClickHouse } from '../services/clickhouse.ts'
import type { CrashColumn } from './source.ts'

/** Rows as texts, each with how often it occurs. */
export type Bag = Map<string, number>

export interface Difference {
  /** In the first and not in the second, with multiplicity. */
  readonly missing: number
  readonly extra: number
  /** A few of them, for the reader of a failure. */
  readonly examples: readonly string[]
}

export function compare(expected: Bag, actual: Bag): Difference {
  const missing: string[] = []
  const extra: string[] = []
  for (const row of new Set([...expected.keys(), ...actual.keys()])) {
    const difference = (actual.get(row) ?? 0) - (expected.get(row) ?? 0)
    for (let i = 0; i < -difference; i++) missing.push(row)
    for (let i = 0; i < difference; i++) extra.push(row)
  }
  const examples = missing.slice(0, 5).map((row) => differenceTo(row, extra))
  for (const row of extra.slice(0, Math.max(0, 5 - examples.length))) examples.push(`+ ${row}`)
  return {
    missing: missing.length,
    extra: extra.length,
    examples: examples.map((text) => text.slice(0, 300)),
  }
}

/** Against the row of the same first value, which is most of a key, only the values that differ. */
function differenceTo(row: string, others: readonly string[]): string {
  const values = JSON.parse(row) as unknown[]
  for (const other of others) {
    const there = JSON.parse(other) as unknown[]
    if (there[0] !== values[0]) continue
    const differing = values.flatMap((value, i) =>
      value === there[i]
        ? []
        : [`value ${i}: ${JSON.stringify(value)} became ${JSON.stringify(there[i])}`],
    )
    return `${JSON.stringify(values[0])} ${differing.join(', ')}`
  }
  return `- ${row}`
}

export function add(bag: Bag, row: string): void {
  bag.set(row, (bag.get(row) ?? 0) + 1)
}

export interface FoldedTopic {
  readonly rows: Bag
  /** Offset after the last entry. */
  readonly nextOffset: number
  /** Offsets of rows that announce themselves to a webhook, with their key, in order. */
  readonly changes: readonly {
    readonly offset: number
    readonly key: string
    readonly weight: number
  }[]
}

/** The topic folded from its first commit to its last. */
export async function foldTopic(log: Log, chain: string, topic: string): Promise<FoldedTopic> {
  const signal = AbortSignal.timeout(600_000)
  const alive = new Map<string, string[]>()
  const changes: { offset: number; key: string; weight: number }[] = []
  let nextOffset = 0
  await using reader = ChainReader.open(log, chain, 1)
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) break
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic) continue
      if (block.baseOffset !== nextOffset) throw new Error(`${topic}: gap at offset ${nextOffset}`)
      nextOffset += block.rows
      const batch = await reader.readBlock(commit, index, signal)
      if (batch === null) {
        alive.clear()
        continue
      }
      const { fields } = batch.schema
      for (let row = 0; row < batch.rows; row++) {
        const key = rowKey(batch, row)
        const weight = batch.weights[row]!
        changes.push({ offset: block.baseOffset + row, key, weight })
        const text = JSON.stringify(
          fields.map((field, i) => textAt(field.type, batch.columns[i]!, row)),
        )
        const before = alive.get(key) ?? []
        if (weight > 0)
          alive.set(key, batch.schema.changelog === 'upsert' ? [text] : [...before, text])
        else if (before.length > 1) alive.set(key, before.slice(1))
        else alive.delete(key)
      }
    }
  }
  const rows: Bag = new Map()
  for (const texts of alive.values()) for (const text of texts) add(rows, text)
  return { rows, nextOffset, changes }
}

/** The live view with its values as the source prints them; a topic that never had a row has none. */
export async function liveRows(
  clickhouse: ClickHouse,
  view: string,
  columns: readonly CrashColumn[],
): Promise<Bag> {
  const list = columns.map(({ name, kind }) =>
    kind === 'text' ? `\`${name}\`` : `toString(\`${name}\`)`,
  )
  const [made] = await clickhouse.query(`EXISTS VIEW ${view}`)
  if (Number(made?.['result']) === 0) return new Map()
  const rows = await clickhouse.query(
    `SELECT [${list.map((e) => `toNullable(toString(${e}))`).join(', ')}] AS r FROM ${view}`,
  )
  const bag: Bag = new Map()
  for (const { r } of rows) {
    const values = r as (string | null)[]
    add(bag, JSON.stringify(values.map((value, i) => sourceText(value, columns[i]!))))
  }
  return bag
}

function sourceText(value: string | null, { kind, scale = 2 }: CrashColumn): string | null {
  if (value === null || kind === 'text') return value
  // ClickHouse prints decimals without the zeros at their end.
  if (kind === 'decimal') {
    const [whole, fraction = ''] = value.split('.')
    return `${whole}.${fraction.padEnd(scale, '0')}`
  }
  return timestampText(value) + (kind === 'timestamptz' ? '+00' : '')
}

/** 2026-01-01 00:00:00.500000 → 2026-01-01 00:00:00.5 */
export function timestampText(value: string): string {
  return value.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')
}
