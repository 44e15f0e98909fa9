/**
 * What the offline log says of entities as of a time: the newest row of each by the rules of the online
 * store (../target.ts), a page of entities at a time.
 *
 * A page is the `limit` entities whose keys have the smallest hashes after those of the page before, so
 * that one page is a fair sample, and all pages together are all entities, in memory that depends on
 * `limit` and on one file. Two passes over the files: which entities and when each was deleted last;
 * then the newest row since.
 */
import type { FileStore } from '../../../core/connector/file-store.ts'
import { dayUs } from '../../../core/record/calendar.ts'
import type { Column } from '../../../core/record/column.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { murmur3 } from '../layout/murmur3.ts'
import type { FeastType } from '../types.ts'
import { listFiles } from './day-files.ts'
import { columnOf, logicalOf, widened } from './from-physical.ts'
import { openFile, unsteady } from './identity.ts'
import {
  createdTimestamp,
  deletedColumn,
  eventTimestamp,
  offlineLayout,
  offsetColumn,
  type OfflineLayout,
  type OfflineView,
} from './layout.ts'
import { topicTag, viewFolder } from './names.ts'
import type { ParquetIn } from './parquet-file.ts'
import { leafOf } from './parquet-types.ts'
import type { PhysicalValue } from './physical.ts'

export interface AsOf {
  /** Rows with a later event time are not looked at. */
  readonly asOfUs: bigint
  /** As the view's `order`: by event time and then offset, or by offset alone. */
  readonly order: 'time' | 'log'
  readonly seed: number
  /** Entities a page. */
  readonly limit: number
  /** `next` of the page before; null for the first. */
  readonly after: KeyPlace | null
}

export interface KeyPlace {
  readonly hash: number
  readonly key: string
}

export interface OfflineColumnValues {
  readonly name: string
  /** What the file has: a uuid, or a date kept as text, is `text` here. */
  readonly logical: LogicalType
  readonly type: FeastType
  readonly column: Column
}

/** One row an entity, in no order that means anything. */
export interface OfflinePage {
  readonly count: number
  readonly entities: readonly OfflineColumnValues[]
  /** Null where the entity is deleted. */
  readonly features: readonly OfflineColumnValues[]
  readonly seconds: Float64Array
  readonly nanos: Int32Array
  readonly createdUs: Float64Array
  readonly offsets: Float64Array
  /** 1: nothing is left of the entity since the deletion at that offset. */
  readonly deleted: Uint8Array
  /** null: this was the last page. */
  readonly next: KeyPlace | null
}

interface Entity extends KeyPlace {
  deletedAt: number
  eventUs: bigint
  createdUs: number
  offset: number
  isDeleted: boolean
  entities: readonly PhysicalValue[]
  features: readonly PhysicalValue[]
}

const sliceRows = 65_536
const looksMax = 5

export async function latestAsOf(
  files: FileStore,
  view: OfflineView,
  asOf: AsOf,
  signal: AbortSignal,
): Promise<OfflinePage> {
  for (let look = 0; look < looksMax; look++) {
    const scan = new Scan(files, view, asOf)
    const page = await scan.run(signal)
    if (page !== null) return page
  }
  throw unsteady(`${files.url}/${viewFolder(view.name)}`)
}

class Scan {
  readonly #files: FileStore
  readonly #view: OfflineView
  readonly #layout: OfflineLayout
  readonly #asOf: AsOf
  readonly #entities = new Map<string, Entity>()
  /** Keys from here on are not of this page. */
  #end: KeyPlace | null = null

  constructor(files: FileStore, view: OfflineView, asOf: AsOf) {
    this.#files = files
    this.#view = view
    this.#layout = offlineLayout(view)
    this.#asOf = asOf
  }

  /** null: a file went meanwhile. */
  async run(signal: AbortSignal): Promise<OfflinePage | null> {
    if (!(await this.#pass((file, from, to) => this.#deletions(file, from, to), signal)))
      return null
    const whole = this.#end === null && this.#entities.size <= this.#asOf.limit
    this.#prune()
    if (!(await this.#pass((file, from, to) => this.#newest(file, from, to), signal))) return null
    return this.#page(whole)
  }

  async #pass(
    look: (file: ParquetIn, from: number, to: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const topic = topicTag(this.#view.topic)
    const folder = viewFolder(this.#view.name)
    for await (const { path, day, file } of listFiles(this.#files, folder, signal)) {
      if (file.topic !== topic || BigInt(day * dayUs) > this.#asOf.asOfUs) continue
      const opened = await openFile(this.#files, path, signal)
      if (opened === null) return false
      for (let from = 0; from < opened.parquet.rows; from += sliceRows) {
        signal.throwIfAborted()
        await look(opened.parquet, from, Math.min(opened.parquet.rows, from + sliceRows))
      }
    }
    return true
  }

  async #deletions(file: ParquetIn, from: number, to: number): Promise<void> {
    const keys = await this.#keys(file, from, to)
    const eventUs = (await file.column(eventTimestamp, from, to)) as bigint[]
    const offsets = await file.column(offsetColumn, from, to)
    const deleted = await file.column(deletedColumn, from, to)
    for (const [i, { text, values }] of keys.entries()) {
      if (eventUs[i]! > this.#asOf.asOfUs) continue
      const entity = this.#entityOf(text, values)
      if (entity === null || deleted[i] !== true) continue
      const offset = Number(offsets[i])
      if (offset <= entity.deletedAt) continue
      entity.deletedAt = offset
      entity.offset = offset
      entity.eventUs = eventUs[i]!
      entity.isDeleted = true
    }
    if (this.#entities.size > this.#asOf.limit * 2) this.#prune()
  }

  async #newest(file: ParquetIn, from: number, to: number): Promise<void> {
    const keys = await this.#keys(file, from, to)
    const eventUs = (await file.column(eventTimestamp, from, to)) as bigint[]
    const createdUs = await file.column(createdTimestamp, from, to)
    const offsets = await file.column(offsetColumn, from, to)
    const deleted = await file.column(deletedColumn, from, to)
    const taken = new Map<Entity, number>()
    for (const [i, { text }] of keys.entries()) {
      const entity = this.#entities.get(text)
      if (entity === undefined || eventUs[i]! > this.#asOf.asOfUs) continue
      const offset = Number(offsets[i])
      if (deleted[i] === true) {
        if (offset === entity.offset) entity.createdUs = Number(createdUs[i])
        continue
      }
      if (offset <= entity.deletedAt || !this.#isNewer(eventUs[i]!, offset, entity)) continue
      entity.offset = offset
      entity.eventUs = eventUs[i]!
      entity.createdUs = Number(createdUs[i])
      entity.isDeleted = false
      taken.set(entity, i)
    }
    if (taken.size > 0) await this.#takeFeatures(file, from, taken)
  }

  #isNewer(eventUs: bigint, offset: number, than: Entity): boolean {
    if (than.isDeleted || than.offset < 0) return true
    if (this.#asOf.order === 'log' || eventUs === than.eventUs) return offset > than.offset
    return eventUs > than.eventUs
  }

  async #takeFeatures(
    file: ParquetIn,
    from: number,
    taken: ReadonlyMap<Entity, number>,
  ): Promise<void> {
    const rows = [...taken.values()]
    const known = new Set(file.names)
    const to = from + Math.max(...rows) + 1
    const columns: (readonly PhysicalValue[])[] = []
    for (const { name } of this.#view.features) {
      columns.push(known.has(name) ? await this.#values(file, name, from, to) : [])
    }
    for (const [entity, row] of taken) {
      entity.features = columns.map((column) => column[row] ?? null)
    }
  }

  /** As the type that the column has now. */
  async #values(
    file: ParquetIn,
    name: string,
    from: number,
    to: number,
  ): Promise<readonly PhysicalValue[]> {
    const values = await file.column(name, from, to)
    const leaf = leafOf(file.elements, name)
    if (file.schemaId === this.#layout.schemaId || leaf === null) return values
    const { type } = this.#layout.fields.find((field) => field.name === name)!
    return values.map((value) => widened(value, leaf, type))
  }

  async #keys(file: ParquetIn, from: number, to: number): Promise<readonly RowKey[]> {
    const columns: (readonly PhysicalValue[])[] = []
    for (const { name } of this.#view.entities) {
      columns.push(await this.#values(file, name, from, to))
    }
    return Array.from({ length: to - from }, (_, i) => {
      const values = columns.map((column) => column[i]!)
      return { values, text: entityText(values) }
    })
  }

  /** null: the key is not of this page. */
  #entityOf(key: string, entities: readonly PhysicalValue[]): Entity | null {
    const known = this.#entities.get(key)
    if (known !== undefined) return known
    const { seed, after } = this.#asOf
    const place = placeOf(seed, key)
    if (after !== null && comparePlaces(place, after) <= 0) return null
    if (this.#end !== null && comparePlaces(place, this.#end) > 0) return null
    const entity: Entity = {
      ...place,
      deletedAt: -1,
      eventUs: 0n,
      createdUs: 0,
      offset: -1,
      isDeleted: false,
      entities,
      features: [],
    }
    this.#entities.set(key, entity)
    return entity
  }

  /** Keeps the first `limit` keys. One that is left out never comes back: the end only moves down. */
  #prune(): void {
    const { limit } = this.#asOf
    if (this.#entities.size <= limit) return
    const kept = [...this.#entities.values()].sort(comparePlaces).slice(0, limit)
    this.#entities.clear()
    for (const entity of kept) this.#entities.set(entity.key, entity)
    this.#end = kept.at(-1)!
  }

  #page(whole: boolean): OfflinePage {
    const { entities, features } = this.#view
    const { fields } = this.#layout
    const found = [...this.#entities.values()].sort(comparePlaces)
    const columns = (
      of: OfflineView['features'],
      valueOf: (entity: Entity, i: number) => PhysicalValue,
    ): OfflineColumnValues[] =>
      of.map(({ name, type }, i) => {
        const parquet = fields.find((field) => field.name === name)!.type
        const column = columnOf(
          parquet,
          found.map((entity) => valueOf(entity, i)),
        )
        return { name, type, logical: logicalOf(parquet), column }
      })
    const last = found.at(-1)
    return {
      count: found.length,
      entities: columns(entities, (entity, i) => entity.entities[i]!),
      features: columns(features, (entity, i) => entity.features[i] ?? null),
      seconds: Float64Array.from(found, ({ eventUs }) => Number(eventUs - micros(eventUs)) / 1e6),
      nanos: Int32Array.from(found, ({ eventUs }) => Number(micros(eventUs)) * 1000),
      createdUs: Float64Array.from(found, ({ createdUs }) => createdUs),
      offsets: Float64Array.from(found, ({ offset }) => offset),
      deleted: Uint8Array.from(found, ({ isDeleted }) => (isDeleted ? 1 : 0)),
      next: whole || last === undefined ? null : { hash: last.hash, key: last.key },
    }
  }
}

/** The µs within the second, 0 to 999 999. */
function micros(us: bigint): bigint {
  return ((us % 1_000_000n) + 1_000_000n) % 1_000_000n
}

interface RowKey {
  readonly text: string
  readonly values: readonly PhysicalValue[]
}

/** What an entity is told apart by: its values in the order of the view's entities. */
export function entityText(values: readonly PhysicalValue[]): string {
  return values.map(keyText).join('')
}

export function placeOf(seed: number, key: string): KeyPlace {
  return { hash: murmur3(Buffer.from(`${seed}:${key}`)), key }
}

export function comparePlaces(a: KeyPlace, b: KeyPlace): number {
  return a.hash - b.hash || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
}

/** With its length, so that no two keys run together. */
function keyText(value: PhysicalValue): string {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
  return `${text.length}:${text}`
}
