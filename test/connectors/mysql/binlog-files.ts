/**
 * Binlog files for the decoder's tests: their events one by one, a directory that knows the tables, and
 * the fold of what comes out of the decoder, which is what a table holds in the end.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { position, type SourceBatch } from '../../../core/connector/source.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { Batch } from '../../../core/record/batch.ts'
import { bitAt } from '../../../core/record/bitmap.ts'
import { textAt } from '../../../core/record/value.ts'
import { lengthOf } from '../../../connectors/mysql/binlog/event-header.ts'
import { Decoder } from '../../../connectors/mysql/binlog/decode.ts'
import type { StreamPlace } from '../../../connectors/mysql/place.ts'
import type { RememberedTable } from '../../../connectors/mysql/schema/schema-memory.ts'
import type {
  FollowedTable,
  Statement,
  TableDirectory,
  TableMap,
} from '../../../connectors/mysql/schema/table-directory.ts'
import {
  describedShape,
  followedTable,
  rememberedShape,
} from '../../../connectors/mysql/schema/table-shape.ts'
import type { Flavour, ValuePolicies } from '../../../connectors/mysql/types.ts'

/** What was recorded beside a binlog file. */
export interface Recording {
  readonly name: string
  readonly flavour: Flavour
  readonly version: string
  /** Where the file begins. */
  readonly gtids: string
  readonly collations: Readonly<Record<string, string>>
  /** By `database.table`: as the catalog had it before. */
  readonly remembered: Readonly<Record<string, RememberedTable>>
  /** By `database.table`: the default of each column, as text; null = NULL. */
  readonly defaults: Readonly<Record<string, readonly (string | null)[]>>
  /** By `database.table`: its rows in the end, each value as the server prints it. */
  readonly rows: Readonly<Record<string, readonly (readonly (string | null)[])[]>>
}

const folder = new URL('../../fixtures/mysql/', import.meta.url)

export function recording(name: string): Recording {
  return JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Recording
}

export function databasesOf({ rows }: Recording): readonly string[] {
  return [...new Set(Object.keys(rows).map((table) => table.slice(0, table.indexOf('.'))))]
}

/** The file's bytes, its magic number included. */
export function binlogFile(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`${name}.binlog.gz`, folder)))
}

/** Each event of a file, without the magic number. */
export function* eventsOf(file: Uint8Array): Generator<Buffer> {
  for (let at = 4; at + 19 <= file.length;) {
    const length = lengthOf(file, at)
    yield Buffer.from(file.subarray(at, at + length))
    at += length
  }
}

const policies: ValuePolicies = { tinyint1: 'int', zeroDates: 'text' }

/** Follows every table of some databases, as their maps or the memory describe them. */
export class FileDirectory implements TableDirectory {
  readonly statements: Statement[] = []
  /** Statements that empty a topic. */
  truncates = new Map<string, string>()
  readonly #databases: readonly string[]
  readonly #isRecorded: boolean
  readonly #collations: ReadonlyMap<number, string>
  readonly #remembered: Readonly<Record<string, RememberedTable>>
  readonly #defaults: Recording['defaults']
  readonly #known = new Map<string, FollowedTable>()

  constructor(databases: readonly string[], recorded: Partial<Recording> = {}) {
    this.#databases = databases
    this.#collations = new Map(
      Object.entries(recorded.collations ?? usualCollations).map(([id, name]) => [
        Number(id),
        name,
      ]),
    )
    this.#remembered = recorded.remembered ?? {}
    this.#defaults = recorded.defaults ?? {}
    this.#isRecorded = recorded.remembered !== undefined
  }

  resolve(map: TableMap): FollowedTable | null {
    const topic = `${map.database}.${map.table}`
    if (!this.#databases.includes(map.database)) return null
    const key = `${topic} ${Buffer.from(map.body.subarray(6)).toString('base64')}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const remembered = this.#remembered[topic]
    // Made within the recording, and without names on the wire: nobody knows its columns.
    if (map.names === null && remembered === undefined && this.#isRecorded) return null
    const columns = remembered?.columns ?? []
    const shape =
      map.names === null && remembered !== undefined
        ? rememberedShape(map, remembered, this.#collations)
        : describedShape(
            map,
            map.names ?? map.columns.map((_, i) => columns[i]?.name ?? `c${i}`),
            undefined,
            this.#collations,
          )
    if (shape === null) throw new TypeError(`${topic} is not as it was recorded`)
    const defaults = this.#defaults[topic]?.map((text) =>
      text === null ? null : Buffer.from(text),
    )
    const table = {
      ...followedTable(map, shape, policies, topic),
      ...(defaults === undefined ? {} : { defaults }),
    }
    this.#known.set(key, table)
    return table
  }

  load(): Promise<void> {
    return Promise.resolve()
  }

  lost(error: SluiceError): void {
    throw error
  }

  follows(database: string): boolean {
    return this.#databases.includes(database)
  }

  statement(statement: Statement): { truncated: readonly string[] } {
    this.statements.push(statement)
    const topic = this.truncates.get(statement.sql)
    return { truncated: topic === undefined ? [] : [topic] }
  }
}

/** Of recordings made elsewhere. */
const usualCollations: Readonly<Record<string, string>> = {
  8: 'latin1',
  33: 'utf8mb3',
  45: 'utf8mb4',
  46: 'utf8mb4',
  63: 'binary',
  83: 'utf8mb3',
  224: 'utf8mb4',
  255: 'utf8mb4',
  2304: 'utf8mb4',
}

export function placeOf(recorded: Pick<Recording, 'flavour' | 'gtids'>, file = ''): StreamPlace {
  return { flavour: recorded.flavour, gtids: recorded.gtids, server: 's', file, offset: 4 }
}

export function decoderFor(directory: TableDirectory, from: StreamPlace): Decoder {
  return new Decoder({
    directory,
    from,
    positionAt: (place) => position(JSON.stringify(place)),
  })
}

const never = new AbortController().signal

/** One event, as the stream reads it: what it waits for is given to it. */
export async function feed(decoder: Decoder, event: Uint8Array): Promise<SourceBatch[]> {
  const batches: SourceBatch[] = []
  decoder.event(event, 0, event.length)
  batches.push(...taken(decoder))
  while (decoder.standing) {
    await decoder.unpacking?.more(never)
    decoder.resume()
    batches.push(...taken(decoder))
  }
  return batches
}

export function taken(decoder: Decoder): SourceBatch[] {
  const batches = decoder.out
  decoder.out = []
  return batches
}

/** ROTATE as a server makes it up at the beginning of a stream. */
export function rotateTo(file: string, offset = 4): Buffer {
  const event = Buffer.alloc(19 + 8 + file.length)
  event[4] = 4
  event.writeUInt32LE(event.length, 9)
  event.writeUInt16LE(0x20, 17)
  event.writeBigUInt64LE(BigInt(offset), 19)
  event.write(file, 27, 'latin1')
  return event
}

/** Everything a file gives. */
export async function decodeFile(
  decoder: Decoder,
  file: Uint8Array,
  name = 'binlog.000002',
): Promise<SourceBatch[]> {
  const batches = await feed(decoder, rotateTo(name))
  let offset = 4
  for (const event of eventsOf(file)) {
    const before = decoder.place.offset
    batches.push(...(await feed(decoder, event)))
    offset += event.length
    const { file: fileNow, offset: after } = decoder.place
    if (fileNow === name && after !== before) assert.equal(after, offset, 'the place in the file')
  }
  decoder.flush()
  batches.push(...taken(decoder))
  return batches
}

type Row = readonly (string | null)[]

/** Rows by topic, as ingest would have them in the log: transactions at their end, unchanged values filled. */
export class Fold {
  readonly #tables = new Map<string, Map<string, { row: Row; count: number }>>()
  readonly #open = new Map<string, { part: string; batch: SourceBatch }[]>()

  add(batch: SourceBatch): void {
    const { transaction, end } = batch
    if (transaction === null) return this.#apply(batch)
    const parts = this.#open.get(transaction.id) ?? []
    this.#open.set(transaction.id, parts)
    if (end === 'abort') {
      const { part } = transaction
      this.#open.set(transaction.id, part === '' ? [] : parts.filter((held) => held.part !== part))
      if (part === '') this.#open.delete(transaction.id)
      return
    }
    parts.push({ part: transaction.part, batch })
    if (end !== 'commit') return
    for (const held of parts) this.#apply(held.batch)
    this.#open.delete(transaction.id)
  }

  get openTransactions(): readonly string[] {
    return [...this.#open.keys()]
  }

  #apply({ changes }: SourceBatch): void {
    for (const change of changes) {
      if (!('batch' in change)) {
        this.#tables.set(change.topic, new Map())
        continue
      }
      const { batch } = change
      const table = this.#tables.get(change.topic) ?? new Map<string, { row: Row; count: number }>()
      this.#tables.set(change.topic, table)
      const gone = new Map<number, Row | undefined>()
      for (let row = 0; row < batch.rows; row++) {
        const key = keyOf(batch, row)
        const before = table.get(key)
        if (batch.weights[row] === -1) {
          gone.set(row, before?.row)
          if (batch.schema.changelog === 'retract' && before === undefined) {
            throw new Error(`a row of ${change.topic} goes that was not there`)
          }
          if ((before?.count ?? 1) <= 1) table.delete(key)
          else table.set(key, { row: before!.row, count: before!.count - 1 })
          continue
        }
        const previous = change.previous?.[row] ?? -1
        const old = previous === -1 ? before?.row : gone.get(previous)
        const values = batch.columns.map((column, field) => {
          const bits = change.unchanged?.[field] ?? null
          if (bits === null || !bitAt(bits, row)) {
            return textAt(batch.schema.fields[field]!.type, column, row)
          }
          if (old === undefined)
            throw new Error(`an unchanged value of ${change.topic} was not there`)
          const edit = change.edits?.[field]?.get(row)
          if (edit === undefined) return old[field]!
          const text = old[field]
          const edited = edit(text === null || text === undefined ? null : Buffer.from(text))
          return edited === null ? null : Buffer.from(edited).toString()
        })
        const isRetract = batch.schema.changelog === 'retract'
        table.set(key, { row: values, count: isRetract ? (before?.count ?? 0) + 1 : 1 })
      }
    }
  }

  /** Sorted. */
  rows(topic: string): readonly Row[] {
    const rows: Row[] = []
    for (const { row, count } of this.#tables.get(topic)?.values() ?? []) {
      for (let i = 0; i < count; i++) rows.push(row)
    }
    return sorted(rows)
  }
}

export function sorted(rows: readonly Row[]): readonly Row[] {
  return rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

function keyOf(batch: Batch, row: number): string {
  const { key, fields } = batch.schema
  const places = key.length === 0 ? fields.map((_, i) => i) : key
  return JSON.stringify(places.map((i) => textAt(fields[i]!.type, batch.columns[i]!, row)))
}

export function isTyped(error: unknown): boolean {
  return error instanceof SluiceError && error.code !== 'internal.bug'
}
