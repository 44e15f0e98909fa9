/**
 * Row memory: the newest large values of each key, on local disk (classic-level), for topics whose
 * source leaves unchanged large values out of its updates. It can be rebuilt from the log at any
 * time: `cursor` says up to which commit it was, and what follows is read again.
 *
 *   'a' topic                          → ''            the topic is remembered
 *   'c' topic                          → seq           next commit to read
 *   'm' topic key                      → values        newest committed values
 *   't' scope topic key count          → part values   an open transaction's; gone at the next start
 *
 * Texts in keys are followed by a zero byte. `values` = { u16 name length, name, i32 length or −1, bytes }*
 */
import { mkdirSync } from 'node:fs'
import { ClassicLevel } from 'classic-level'
import { SluiceError } from '../errors/error.ts'

/** The large values of one row by field name; null is a null. */
export type RowValues = ReadonlyMap<string, Uint8Array | null>

type Level = ClassicLevel<string, Uint8Array>
type LevelBatch = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

const end = '\u0000'
const empty = new Uint8Array(0)
const foldersMax = 8

/** A row's key as it stands in ours: a zero byte in it would end it early. */
function quoted(key: string): string {
  return JSON.stringify(key)
}

/** The first key after all that begin with `prefix`, whose last character is the zero byte. */
function after(prefix: string): string {
  return `${prefix.slice(0, -1)}\u0001`
}

export class RowMemory implements AsyncDisposable {
  readonly #level: Level
  #count = 0

  private constructor(level: Level) {
    this.#level = level
  }

  /**
   * Opens the memory in `folder`. Where another process still holds it (one that was taken over and
   * has not noticed, or is asleep), a folder beside it is used: what is missing there is read from
   * the log, and a take-over must not wait for the process that it takes over from.
   */
  static async open(folder: string): Promise<RowMemory> {
    try {
      for (let beside = 1; ; beside++) {
        const level = await openLevel(beside === 1 ? folder : `${folder}.${beside}`)
        if (level === null && beside < foldersMax) continue
        if (level === null) throw new Error(`${foldersMax} processes hold such a folder`)
        // Open transactions come again from the source.
        await level.clear({ gte: 't', lt: 'u' })
        return new RowMemory(level)
      }
    } catch (cause) {
      throw new SluiceError('task.state_unusable', {
        message: `cannot open the row memory in ${folder}`,
        cause,
      })
    }
  }

  async topics(): Promise<string[]> {
    const keys = await this.#level.keys({ gte: 'a', lt: 'b' }).all()
    return keys.map((key) => key.slice(1))
  }
  async remember(topic: string): Promise<void> {
    await this.#level.put(`a${topic}`, empty)
  }

  async cursor(topic: string): Promise<number> {
    const value = await this.#level.get(`c${topic}`)
    return value === undefined ? 1 : Number(Buffer.from(value).toString())
  }

  async get(topic: string, key: string): Promise<RowValues | null> {
    const value = await this.#level.get(`m${topic}${end}${quoted(key)}`)
    return value === undefined ? null : decodeValues(value, 0)
  }

  /** Applies rows (null = gone) and moves the topics' cursors, all or nothing. */
  async apply(
    rows: Iterable<readonly [topic: string, key: string, values: RowValues | null]>,
    cursors: ReadonlyMap<string, number>,
  ): Promise<void> {
    const batch: LevelBatch[] = []
    for (const [topic, key, values] of rows) {
      const at = `m${topic}${end}${quoted(key)}`
      if (values === null) batch.push({ type: 'del', key: at })
      else batch.push({ type: 'put', key: at, value: encodeValues(values) })
    }
    for (const [topic, seq] of cursors) {
      batch.push({ type: 'put', key: `c${topic}`, value: Buffer.from(String(seq)) })
    }
    if (batch.length > 0) await this.#level.batch(batch)
  }

  async clearTopic(topic: string): Promise<void> {
    await this.#level.clear({ gte: `m${topic}${end}`, lt: after(`m${topic}${end}`) })
  }

  /** A row of an open transaction; null values = gone. */
  async putOpen(
    scope: string,
    part: string,
    topic: string,
    key: string,
    values: RowValues | null,
  ): Promise<void> {
    const count = String(this.#count++).padStart(15, '0')
    const name = Buffer.from(part)
    const value = Buffer.concat([u16(name.length), name, encodeValues(values ?? new Map())])
    await this.#level.put(`t${scope}${end}${topic}${end}${quoted(key)}${end}${count}`, value)
  }

  /** The newest row of that key in an open transaction, rolled-back parts left out. */
  async getOpen(
    scope: string,
    aborted: ReadonlySet<string>,
    topic: string,
    key: string,
  ): Promise<RowValues | null> {
    const prefix = `t${scope}${end}${topic}${end}${quoted(key)}${end}`
    const newestFirst = this.#level.values({ gte: prefix, lt: after(prefix), reverse: true })
    for await (const value of newestFirst) {
      const [part, values] = decodeOpen(value)
      if (!aborted.has(part)) return values.size === 0 ? null : values
    }
    return null
  }

  /** Makes a transaction's rows the newest committed ones, in its order. */
  async mergeOpen(scope: string, aborted: ReadonlySet<string>): Promise<void> {
    const prefix = `t${scope}${end}`
    let rows: [string, string, RowValues | null][] = []
    for await (const [at, value] of this.#level.iterator({ gte: prefix, lt: after(prefix) })) {
      const [part, values] = decodeOpen(value)
      if (aborted.has(part)) continue
      const [topic, key] = at.slice(prefix.length).split(end) as [string, string]
      rows.push([topic, JSON.parse(key) as string, values.size === 0 ? null : values])
      if (rows.length === 256) {
        await this.apply(rows, new Map())
        rows = []
      }
    }
    await this.apply(rows, new Map())
    await this.dropOpen(scope)
  }

  async dropOpen(scope: string): Promise<void> {
    await this.#level.clear({ gte: `t${scope}${end}`, lt: after(`t${scope}${end}`) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#level.close()
  }
}

/** null: another process has it. */
async function openLevel(folder: string): Promise<Level | null> {
  mkdirSync(folder, { recursive: true })
  const level: Level = new ClassicLevel(folder, { keyEncoding: 'utf8', valueEncoding: 'view' })
  try {
    await level.open()
    return level
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    if (cause?.code === 'LEVEL_LOCKED') return null
    throw error
  }
}

function encodeValues(values: RowValues): Uint8Array {
  const pieces: Uint8Array[] = []
  for (const [name, value] of values) {
    const text = Buffer.from(name)
    const length = Buffer.alloc(4)
    length.writeInt32LE(value === null ? -1 : value.length)
    pieces.push(u16(text.length), text, length)
    if (value !== null) pieces.push(value)
  }
  return Buffer.concat(pieces)
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function decodeOpen(bytes: Uint8Array): [part: string, values: RowValues] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.readUInt16LE(0)
  return [view.toString('utf8', 2, 2 + length), decodeValues(bytes, 2 + length)]
}

function decodeValues(bytes: Uint8Array, from: number): RowValues {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const values = new Map<string, Uint8Array | null>()
  let at = from
  while (at < view.length) {
    const nameEnd = at + 2 + view.readUInt16LE(at)
    const name = view.toString('utf8', at + 2, nameEnd)
    const length = view.readInt32LE(nameEnd)
    at = nameEnd + 4
    if (length < 0) values.set(name, null)
    else {
      values.set(name, view.subarray(at, at + length))
      at += length
    }
  }
  return values
}
