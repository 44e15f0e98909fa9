/**
 * Row memory: the newest values of each key, on local disk (classic-level), for topics whose source
 * leaves unchanged values out of its updates. It can be rebuilt from the log at any time: `cursor`
 * says up to which commit it was, and what follows is read again.
 *
 *   'v'                          → '2'             format of what follows; another one is begun anew
 *   'a' topic                    → 'large' | 'all' the topic is remembered, and which columns
 *   'c' topic                    → seq             next commit to read
 *   'l' topic id                 → [{name, type}]  a layout of its rows (row-layout.ts), as JSON
 *   'm' topic key                → row             newest committed values
 *   't' scope topic key          → versions        an open transaction's; gone at the next start
 *
 * Texts in keys are followed by a zero byte, but for the last. `versions`: see row-versions.ts.
 */
import { mkdirSync } from 'node:fs'
import { ClassicLevel } from 'classic-level'
import { SluiceError } from '../errors/error.ts'
import type { Batch } from '../record/batch.ts'
import type { Schema } from '../record/schema.ts'
import { ValueWriter } from '../record/value-bytes.ts'
import { covers, keptFields, LayoutRows, writeRow } from './row-layout.ts'
import type { BatchLayout, Kept, LayoutField, RowLayout } from './row-layout.ts'
import { encodeVersions, newestAlive, withVersion, type RowVersion } from './row-versions.ts'

type Level = ClassicLevel<string, Uint8Array>

/** Rows of a topic with their keys (rowKey); a row of weight −1 is gone. */
export interface KeyedRows {
  readonly topic: string
  readonly batch: Batch
  readonly keys: readonly string[]
}

/** An open transaction's name here, and which of its parts were rolled back. */
export interface Scope {
  readonly id: string
  readonly aborted: ReadonlySet<string>
}

/** What was found for a key: in `scopes[from]`, or at `from` = scopes.length among the committed rows. */
export interface FoundRow {
  readonly from: number
  /** null: gone. */
  readonly row: Uint8Array | null
}

interface TopicMemory {
  kept: Kept
  readonly layouts: Map<number, RowLayout>
  readonly bySchema: Map<string, Promise<BatchLayout>>
  nextLayout: number
}

function noTopic(): TopicMemory {
  return { kept: 'large', layouts: new Map(), bySchema: new Map(), nextLayout: 1 }
}

const end = '\u0000'
const format = Buffer.from('2')
const foldersMax = 8
/** Rows are written in batches of about this size. */
const writeBytes = 1 << 20

/** The first key after all that begin with `prefix`, whose last character is the zero byte. */
function after(prefix: string): string {
  return `${prefix.slice(0, -1)}\u0001`
}

export class RowMemory implements AsyncDisposable {
  readonly #level: Level
  readonly #folder: string
  readonly #topics = new Map<string, TopicMemory>()
  readonly #writer = new ValueWriter()

  private constructor(level: Level, folder: string) {
    this.#level = level
    this.#folder = folder
  }

  /**
   * Opens the memory in `folder`. Where another process still holds it (one that was taken over and
   * has not noticed, or is asleep), a folder beside it is used: what is missing there is read from
   * the log, and a take-over must not wait for the process that it takes over from.
   */
  static async open(folder: string): Promise<RowMemory> {
    try {
      for (let beside = 1; ; beside++) {
        const path = beside === 1 ? folder : `${folder}.${beside}`
        const level = await openLevel(path)
        if (level === null && beside < foldersMax) continue
        if (level === null) throw new Error(`${foldersMax} processes hold such a folder`)
        const memory = new RowMemory(level, path)
        await memory.#load()
        return memory
      }
    } catch (cause) {
      throw new SluiceError('task.state_unusable', {
        message: `cannot open the row memory in ${folder}`,
        cause,
      })
    }
  }

  topics(): string[] {
    return [...this.#topics.keys()]
  }
  /** Which columns of a topic are remembered; null = none. */
  kept(topic: string): Kept | null {
    return this.#topics.get(topic)?.kept ?? null
  }

  /** Remembers these columns of a topic from now on; what was kept is dropped where it has too few. */
  async remember(topic: string, kept: Kept): Promise<void> {
    if (covers(this.kept(topic), kept)) return
    await this.clearTopic(topic)
    const writes = this.#level.batch().del(`c${topic}`).put(`a${topic}`, Buffer.from(kept))
    await this.#done(writes.write())
    const known = this.#topics.get(topic) ?? noTopic()
    this.#topics.set(topic, { ...known, kept, bySchema: new Map() })
  }

  async cursor(topic: string): Promise<number> {
    const value = await this.#done(this.#level.get(`c${topic}`))
    return value === undefined ? 1 : Number(Buffer.from(value).toString())
  }
  async moveCursors(topics: Iterable<string>, seq: number): Promise<void> {
    const writes = this.#level.batch()
    for (const topic of topics) writes.put(`c${topic}`, Buffer.from(String(seq)))
    await this.#done(writes.write())
  }

  /** Makes rows the newest of their keys, in order; those that `isOld` names are left out. */
  async put(rows: KeyedRows, isOld: (row: number) => boolean = () => false): Promise<void> {
    const { topic, batch, keys } = rows
    const prefix = `m${topic}${end}`
    const layout = await this.#layoutOf(topic, batch.schema)
    let writes = this.#level.batch()
    let bytes = 0
    for (let row = 0; row < batch.rows; row++) {
      if (isOld(row)) continue
      const at = prefix + keys[row]!
      if (batch.weights[row]! < 0) writes.del(at)
      else {
        this.#writer.rewind()
        writeRow(this.#writer, layout, batch, row)
        // The batch copies what it is given.
        writes.put(at, this.#writer.since(0))
        bytes += this.#writer.end
      }
      if (bytes < writeBytes) continue
      await this.#done(writes.write())
      writes = this.#level.batch()
      bytes = 0
    }
    await this.#done(writes.write())
  }

  /** What is known of each key: in the first of the scopes that has it, else among the committed rows. */
  async find(
    topic: string,
    keys: readonly string[],
    scopes: readonly Scope[],
  ): Promise<(FoundRow | null)[]> {
    const asked: string[] = []
    for (const scope of scopes) {
      for (const key of keys) asked.push(`t${scope.id}${end}${topic}${end}${key}`)
    }
    for (const key of keys) asked.push(`m${topic}${end}${key}`)
    // One call sees one state: a transaction that is being merged is in one place or in the other.
    const values = await this.#done(this.#level.getMany(asked))
    return keys.map((_, i) => {
      for (const [from, { aborted }] of scopes.entries()) {
        const versions = values[from * keys.length + i]
        const newest = versions === undefined ? null : newestAlive(versions, aborted)
        if (newest !== null) return { from, row: newest.row }
      }
      const row = values[scopes.length * keys.length + i]
      return row === undefined ? null : { from: scopes.length, row }
    })
  }

  /** Room for rows of the topic in one layout (layoutIdOf). */
  layoutRows(topic: string, id: number): LayoutRows {
    const layout = this.#topics.get(topic)?.layouts.get(id)
    if (layout === undefined) {
      throw new SluiceError('task.state_unusable', {
        message: `the row memory has a row of ${topic} in a layout that it does not know`,
      })
    }
    return new LayoutRows(layout)
  }

  /** Names of the fields that rows of the topic have here. */
  fieldNames(topic: string): Set<string> {
    const names = new Set<string>()
    for (const { fields } of this.#topics.get(topic)?.layouts.values() ?? []) {
      for (const { name, dropped } of fields) if (dropped !== true) names.add(name)
    }
    return names
  }

  /**
   * The topic's rows so far do not have these fields any more: a field of that name that comes later
   * is another one.
   */
  async dropFields(topic: string, names: ReadonlySet<string>): Promise<void> {
    const memory = this.#topics.get(topic)
    if (memory === undefined) return
    const writes = this.#level.batch()
    for (const [id, layout] of memory.layouts) {
      if (!layout.fields.some(({ name }) => names.has(name))) continue
      const fields = layout.fields.map((field) =>
        names.has(field.name) ? { ...field, dropped: true } : field,
      )
      memory.layouts.set(id, { id, fields })
      writes.put(`l${topic}${end}${id}`, Buffer.from(JSON.stringify(fields)))
    }
    memory.bySchema.clear()
    await this.#done(writes.write())
  }

  async clearTopic(topic: string): Promise<void> {
    const range = { gte: `m${topic}${end}`, lt: after(`m${topic}${end}`) }
    await this.#done(this.#level.clear(range))
  }

  /** Adds rows of an open transaction that memory has no room for. */
  async putOpen(scope: Scope, part: string, { topic, batch, keys }: KeyedRows): Promise<void> {
    const prefix = `t${scope.id}${end}${topic}${end}`
    const wanted = [...new Set(keys)]
    const before = await this.#done(this.#level.getMany(wanted.map((key) => prefix + key)))
    const known = new Map(wanted.map((key, i) => [key, before[i]]))
    const layout = await this.#layoutOf(topic, batch.schema)
    const writes = this.#level.batch()
    for (let row = 0; row < batch.rows; row++) {
      let bytes: Uint8Array | null = null
      if (batch.weights[row]! > 0) {
        this.#writer.rewind()
        writeRow(this.#writer, layout, batch, row)
        bytes = this.#writer.since(0).slice()
      }
      const version: RowVersion = { part, row: bytes }
      const key = keys[row]!
      known.set(key, encodeVersions(withVersion(known.get(key), version, scope.aborted)))
    }
    for (const [key, versions] of known) {
      if (versions !== undefined) writes.put(prefix + key, versions)
    }
    await this.#done(writes.write())
  }

  /** Makes a transaction's rows the newest committed ones. */
  async mergeOpen(scope: Scope): Promise<void> {
    await this.#done(this.#merge(scope))
    await this.dropOpen(scope.id)
  }

  async #merge({ id, aborted }: Scope): Promise<void> {
    const prefix = `t${id}${end}`
    let writes = this.#level.batch()
    for await (const [at, versions] of this.#level.iterator({ gte: prefix, lt: after(prefix) })) {
      const newest = newestAlive(versions, aborted)
      if (newest === null) continue
      const to = `m${at.slice(prefix.length)}`
      if (newest.row === null) writes.del(to)
      else writes.put(to, newest.row)
      if (writes.length < 1024) continue
      await writes.write()
      writes = this.#level.batch()
    }
    await writes.write()
  }

  async dropOpen(scope: string): Promise<void> {
    const range = { gte: `t${scope}${end}`, lt: after(`t${scope}${end}`) }
    await this.#done(this.#level.clear(range))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#level.close()
  }

  /** What the database comes to. A disk that is full, or a folder that somebody removed, is no bug of ours. */
  async #done<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      const { code } = cause as { code?: unknown }
      if (typeof code !== 'string' || !code.startsWith('LEVEL_')) throw cause
      throw new SluiceError('task.state_unusable', {
        message: `cannot use the row memory in ${this.#folder}: ${code}`,
        cause,
      })
    }
  }

  async #load(): Promise<void> {
    const kept = await this.#level.iterator({ gte: 'a', lt: 'b' }).all()
    const stored = await this.#level.get('v')
    if (stored === undefined || !format.equals(stored)) {
      // Of another format only which topics were remembered is of use.
      await this.#level.clear()
      await this.#level.put('v', format)
      for (const [key] of kept) await this.remember(key.slice(1), 'large')
      return
    }
    for (const [key, value] of kept) {
      const columns = Buffer.from(value).toString() === 'all' ? 'all' : 'large'
      this.#topics.set(key.slice(1), { ...noTopic(), kept: columns })
    }
    for await (const [key, value] of this.#level.iterator({ gte: 'l', lt: 'm' })) {
      const [topic, id] = key.slice(1).split(end) as [string, string]
      const fields = JSON.parse(Buffer.from(value).toString()) as LayoutField[]
      const memory = this.#topics.get(topic)
      if (memory === undefined) continue
      memory.layouts.set(Number(id), { id: Number(id), fields })
      memory.nextLayout = Math.max(memory.nextLayout, Number(id) + 1)
    }
    // Open transactions come again from the source.
    await this.#level.clear({ gte: 't', lt: 'u' })
  }

  /** The layout of a schema's rows; a new one is on disk before any row has it. */
  async #layoutOf(topic: string, schema: Schema): Promise<BatchLayout> {
    const memory = this.#topics.get(topic)
    if (memory === undefined) throw new Error(`${topic} is not remembered`)
    let layout = memory.bySchema.get(schema.id)
    if (layout === undefined) {
      layout = this.#makeLayout(topic, memory, schema)
      memory.bySchema.set(schema.id, layout)
    }
    return layout
  }

  async #makeLayout(topic: string, memory: TopicMemory, schema: Schema): Promise<BatchLayout> {
    const columns = keptFields(schema, memory.kept)
    const fields = columns.map((index) => {
      const { name, type } = schema.fields[index]!
      return { name, type }
    })
    const content = JSON.stringify(fields)
    for (const layout of memory.layouts.values()) {
      if (JSON.stringify(layout.fields) === content) return { layout, columns }
    }
    const layout: RowLayout = { id: memory.nextLayout++, fields }
    await this.#done(this.#level.put(`l${topic}${end}${layout.id}`, Buffer.from(content)))
    memory.layouts.set(layout.id, layout)
    return { layout, columns }
  }
}

/** null: another process has it. */
async function openLevel(folder: string): Promise<Level | null> {
  mkdirSync(folder, { recursive: true })
  const level: Level = new ClassicLevel(folder, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    // Rows are small and written over soon: packing them cost a fifth of the time of random updates.
    compression: false,
  })
  try {
    await level.open()
    return level
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    if (cause?.code === 'LEVEL_LOCKED') return null
    throw error
  }
}
