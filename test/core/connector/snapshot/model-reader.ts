/**
 * A SnapshotReader of the database in memory: its answers come in any order, tables are missing for a
 * moment, another one has the name, and the server is away now and then.
 */
import {
  SnapshotTableChanged,
  type Chunk,
  type ChunkRows,
  type KeyText,
  type SnapshotReader,
  type SnapshotTable,
  type WholeTable,
} from '../../../../core/connector/snapshot/reader.ts'
import { SluiceError } from '../../../../core/errors/error.ts'
import { Op, type Batch } from '../../../../core/record/batch.ts'
import type { Answers } from './answers.ts'
import { rowsBatch, type Database, type Row } from './database.ts'

export interface ModelOptions {
  readonly database: Database
  readonly answers: Answers
  /** Whether the order of keys has to be asked of the server. */
  readonly asyncOrder: boolean
  readonly draw: (below: number) => number
  /** Whether things may still go wrong. */
  readonly isWild: () => boolean
}

export class ModelReader {
  readonly #options: ModelOptions
  constructor(options: ModelOptions) {
    this.#options = options
  }

  reader(): SnapshotReader {
    const { database, answers, draw, asyncOrder } = this.#options
    return {
      describe: (topic, signal) => answers.later(signal, () => this.#described(topic)),
      split: (table, after, signal) =>
        answers.later(signal, () => {
          const rows = database.snapshot(this.#same(table)).filter(isIn({ after, upTo: null }))
          const count = 1 + draw(3)
          return rows.length <= count ? null : [String(rows[count - 1]!.k)]
        }),
      read: (table, rows, from, signal) =>
        answers.later(
          signal,
          () => this.#chunk(table, rows),
          () => database.isShownUpTo(Number(from)),
        ),
      isUpTo: (table, batch, rows, upTo, signal) => {
        const answer = (): Uint8Array =>
          Uint8Array.from(rows, (row) => (keyAt(batch, row) <= Number(upTo[0]) ? 1 : 0))
        return asyncOrder ? answers.later(signal, answer) : answer()
      },
      readWhole: (table, signal) => this.#whole(table, signal),
    }
  }

  #described(topic: string): SnapshotTable | null {
    this.#trouble()
    const { id, keyed } = this.#options.database.tables.get(topic)!
    if (this.#options.isWild() && this.#options.draw(20) === 0) return null
    return { topic, id, key: keyed ? ['k int'] : [] }
  }

  #same(table: SnapshotTable): string {
    this.#trouble()
    if (this.#options.database.tables.get(table.topic)!.id !== table.id) {
      throw new SnapshotTableChanged(table.topic)
    }
    return table.topic
  }

  /** Now and then the server is away for a moment. */
  #trouble(): void {
    if (!this.#options.isWild() || this.#options.draw(25) > 0) return
    throw new SluiceError('source.mysql.protocol', { message: 'away', fault: 'transient' })
  }

  #chunk(table: SnapshotTable, wanted: ChunkRows): Chunk {
    const rows = this.#options.database.snapshot(this.#same(table)).filter(isIn(wanted))
    const { schema } = this.#options.database.tables.get(table.topic)!
    const half = rows.length >> 1
    const batches = [rows.slice(0, half), rows.slice(half)]
      .filter((part) => part.length > 0)
      .map((part) => rowsBatch(schema, part, Op.snapshot))
    const end = this.#options.database.visibleEnd()
    return { batches, isPassed: (at) => Number(at) >= end }
  }

  async #whole(table: SnapshotTable, signal: AbortSignal): Promise<WholeTable> {
    const { database, answers } = this.#options
    const { topic } = table
    const { schema } = database.tables.get(topic)!
    const unlock = database.lock(topic)
    let isHeld = true
    // Now and then the stream takes too long.
    const isGivenUp = this.#options.isWild() && this.#options.draw(3) === 0
    const release = async (): Promise<boolean> => {
      const wasHeld = isHeld
      isHeld = false
      unlock()
      return wasHeld
    }
    const end = database.log.length
    try {
      const all = (): boolean => database.isShownUpTo(end)
      const rows = await answers.later(signal, () => database.snapshot(this.#same(table)), all)
      if (isGivenUp) void answers.later(signal, release).catch(() => {})
      const later = <T>(answer: () => T): Promise<T> => answers.later(signal, answer)
      return {
        isPassed: (at) => Number(at) >= end,
        release,
        batches: async function* () {
          for (let i = 0; i < rows.length; i += 2) {
            yield await later(() => rowsBatch(schema, rows.slice(i, i + 2), Op.snapshot))
          }
        },
        [Symbol.asyncDispose]: async () => void (await release()),
      }
    } catch (error) {
      await release()
      throw error
    }
  }
}

function isIn(wanted: ChunkRows): (row: Row) => boolean {
  if ('keys' in wanted) {
    const keys = new Set(wanted.keys.map(([k]) => Number(k)))
    return ({ k }) => keys.has(k)
  }
  const bound = (key: KeyText | null, none: number): number =>
    key === null ? none : Number(key[0])
  const after = bound(wanted.after, -Infinity)
  const upTo = bound(wanted.upTo, Infinity)
  return ({ k }) => k > after && k <= upTo
}

function keyAt({ columns }: Batch, row: number): number {
  const column = columns[1]!
  if (column.encoding !== 'int32') throw new Error('k is an int32')
  return column.values[row]!
}
