/**
 * Rows of the log that are delivered once more: a stretch of a topic, all of it or what a condition
 * or a set of keys selects. A place is an offset in the topic. Truncates are passed over: what they
 * took away is gone already.
 */
import { SluiceError } from '../errors/error.ts'
import { locate, readHead } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { BlockInfo, Commit } from '../log/types.ts'
import type { Batch } from '../record/batch.ts'
import { concatBatches, sliceBatch } from '../record/batch-ops.ts'
import type { Schema } from '../record/schema.ts'
import { runsMax, type AgainRows, type Run, type Step, type StepLimits } from './again-rows.ts'
import type { DeliveredTopic } from './delivery-log.ts'
import type { RowPlace } from './dead-letters.ts'
import { isOldHalf, type Selected, type Selection } from './again-selection.ts'

/** Offsets from `from` up to `end`, and not that one. */
interface OffsetRange {
  readonly from: number
  readonly end: number
}

interface Block {
  readonly batch: Batch
  readonly base: number
  readonly selected: Selected
}

/** Rows looked through in one step, so that progress is kept also where nothing is selected. */
const scannedMax = 500_000

export class ReplayRows implements AgainRows {
  readonly start: number
  readonly #log: Log
  readonly #topic: DeliveredTopic
  readonly #end: number
  readonly #select: Selection
  readonly #limits: StepLimits
  #reader: ChainReader | null = null
  /** The commit that is being read, and its next block. */
  #commit: Commit | null = null
  #next = 0
  /** The block that the last step ended in, and the place where it did. */
  #block: Block | null = null
  #place = -1

  constructor(
    log: Log,
    topic: DeliveredTopic,
    range: OffsetRange,
    select: Selection,
    limits: StepLimits,
  ) {
    this.#log = log
    this.#topic = topic
    this.start = range.from
    this.#end = range.end
    this.#select = select
    this.#limits = limits
  }

  async read(place: number, until: number | null, signal: AbortSignal): Promise<Step | null> {
    const end = until ?? this.#end
    if (place >= end) return null
    if (this.#place !== place) await this.#open(place, signal)
    const step = new StepRows(until === null ? this.#limits : null)
    let to = place
    let scanned = 0
    let undecided = 0
    while (to < end) {
      if (until === null && scanned >= scannedMax) break
      const block = await this.#blockAt(to, signal)
      if (block === null) {
        to = end
        break
      }
      const stop = Math.min(end, block.base + block.batch.rows)
      const from = Math.max(to, block.base)
      const reached = step.take(block, from, stop)
      scanned += reached - from
      undecided += countWithin(block, from, reached)
      to = reached
      if (reached < stop) break
    }
    this.#place = to
    return { runs: step.runs(), to, skipped: 0, undecided, unsendable: [] }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader?.[Symbol.asyncDispose]()
  }

  async #open(place: number, signal: AbortSignal): Promise<void> {
    await this.#reader?.[Symbol.asyncDispose]()
    const { name, chain } = this.#topic
    const { seq } = await locate(this.#log, chain, name, { offset: place }, signal)
    this.#reader = ChainReader.open(this.#log, chain, seq)
    this.#commit = null
    this.#next = 0
    this.#block = null
  }

  /** The block that holds offset `at`, or the first one after it. */
  async #blockAt(at: number, signal: AbortSignal): Promise<Block | null> {
    if (this.#block !== null && this.#block.base + this.#block.batch.rows > at) return this.#block
    this.#block = await this.#nextBlock(at, signal)
    return this.#block
  }

  /** Only one at a time is in memory: a commit may hold a transaction of any size. */
  async #nextBlock(at: number, signal: AbortSignal): Promise<Block | null> {
    const reader = this.#reader!
    for (;;) {
      const commit = (this.#commit ??= await reader.tryNext(signal))
      if (commit === null) return null
      for (; this.#next < commit.blocks.length; this.#next++) {
        const { topic, baseOffset: base, rows } = commit.blocks[this.#next]!
        if (topic !== this.#topic.name || base + rows <= at) continue
        if (base >= this.#end) return null
        const batch = await reader.readBlock(commit, this.#next, signal)
        if (batch === null || batch.rows === 0) continue
        this.#next++
        return { batch, base, selected: this.#select(batch, base) }
      }
      this.#commit = null
      this.#next = 0
    }
  }
}

/** Gathers the rows of one step. */
class StepRows {
  readonly #limits: StepLimits | null
  readonly #runs: { readonly from: number; readonly parts: Batch[]; rows: number }[] = []
  #rows = 0
  #bytes = 0

  /** Without limits where the step was planned before. */
  constructor(limits: StepLimits | null) {
    this.#limits = limits
  }

  /** Takes the block's selected rows with offsets in [from, stop); returns the offset it got to. */
  take({ batch, base, selected: { rows } }: Block, from: number, stop: number): number {
    const rowBytes = Math.ceil(batch.byteLength / batch.rows)
    for (let i = lowerBound(rows, from - base); i < rows.length;) {
      const first = rows[i]!
      if (base + first >= stop) return stop
      const room = this.#room(rowBytes)
      if (room <= 0 || this.#runs.length >= runsMax) return base + first
      let count = 1
      while (
        count < room &&
        i + count < rows.length &&
        rows[i + count] === first + count &&
        base + first + count < stop
      )
        count++
      const whole = this.#limits === null ? count : wholeUpdates(batch, first, count)
      this.#add(base + first, sliceBatch(batch, first, first + whole))
      this.#rows += whole
      this.#bytes += whole * rowBytes
      if (whole < count) return base + first + whole
      i += count
    }
    return stop
  }

  runs(): Run[] {
    return this.#runs.map(({ from, parts }) => ({ from, batch: concatBatches(parts) }))
  }

  #room(rowBytes: number): number {
    if (this.#limits === null) return Infinity
    const { rowsMax, bytesMax } = this.#limits
    if (this.#bytes >= bytesMax) return 0
    // One row always fits, however large it is.
    const byBytes = Math.max(1, Math.floor((bytesMax - this.#bytes) / rowBytes))
    return Math.min(rowsMax - this.#rows, byBytes)
  }

  #add(from: number, batch: Batch): void {
    const last = this.#runs.at(-1)
    const follows = last !== undefined && last.from + last.rows === from
    if (follows && last.parts[0]!.schema.id === batch.schema.id) {
      last.parts.push(batch)
      last.rows += batch.rows
    } else this.#runs.push({ from, parts: [batch], rows: batch.rows })
  }
}

/** Not between the old row of an update and its new one: apart, they would be a delete and an insert. */
function wholeUpdates(batch: Batch, first: number, count: number): number {
  const last = first + count - 1
  const parted = isOldHalf(batch, last) && last + 1 < batch.rows
  return parted && count > 1 ? count - 1 : count
}

/** Its undecided rows with offsets in [from, to). */
function countWithin({ base, selected: { undecided } }: Block, from: number, to: number): number {
  return lowerBound(undecided, to - base) - lowerBound(undecided, from - base)
}

function lowerBound(rows: Int32Array, row: number): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (rows[middle]! < row) low = middle + 1
    else high = middle
  }
  return low
}

/** Reads all of it for the sake of its selection, which remembers what it has seen. */
export async function passOver(rows: ReplayRows, signal: AbortSignal): Promise<void> {
  await using passed = rows
  for (let place = passed.start; ;) {
    const step = await passed.read(place, null, signal)
    if (step === null) return
    place = step.to
  }
}

interface FoundBlock {
  readonly info: BlockInfo
  readonly batch: Batch | null
}

/** The row at an offset; null when the log does not hold it any more, or a truncate stands there. */
export async function rowAt(
  log: Log,
  topic: DeliveredTopic,
  offset: number,
  signal: AbortSignal,
): Promise<RowPlace | null> {
  const found = await blockAt(log, topic, offset, signal)
  return found === null || found.batch === null
    ? null
    : { batch: found.batch, row: offset - found.info.baseOffset }
}

/** The schema of the row at an offset; the topic's newest where a truncate stands there. */
export async function schemaAt(
  log: Log,
  topic: DeliveredTopic,
  offset: number,
  signal: AbortSignal,
): Promise<Schema | null> {
  const found = await blockAt(log, topic, offset, signal)
  if (found !== null && found.info.schema !== null) return found.info.schema
  const head = await readHead(log, topic.chain, signal)
  return head?.topics.get(topic.name)?.schemas.at(-1) ?? null
}

async function blockAt(
  log: Log,
  { name, chain }: DeliveredTopic,
  offset: number,
  signal: AbortSignal,
): Promise<FoundBlock | null> {
  try {
    const { seq } = await locate(log, chain, name, { offset }, signal)
    await using reader = ChainReader.open(log, chain, seq)
    const commit = await reader.tryNext(signal)
    for (const [index, info] of (commit?.blocks ?? []).entries()) {
      const { topic, baseOffset, rows } = info
      if (topic !== name || offset < baseOffset || offset >= baseOffset + rows) continue
      return { info, batch: await reader.readBlock(commit!, index, signal) }
    }
    return null
  } catch (error) {
    const gone =
      error instanceof SluiceError && /^log\.(offset_unknown|object_missing)$/.test(error.code)
    if (gone) return null
    throw error
  }
}
