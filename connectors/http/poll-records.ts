/**
 * From an answer to records: the elements at the path of a JSON answer, the lines of NDJSON, the records
 * of CSV; and the events of a stream. They are gathered with what is beside them, for one pass of the decoder.
 */
import { csvRecords, CsvFields, type CsvSyntax } from '../../core/connector/format/csv-scan.ts'
import type { Decoded, RecordDecoder } from '../../core/connector/format/format.ts'
import { lines, Ranges } from '../../core/connector/format/json-ranges.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import { Gathering, noExtras, type Extras } from './gathering.ts'
import { findRecords, type JsonFinder } from './json-path.ts'
import type { AnswerParts, PollColumns } from './poll-columns.ts'
import { linesRemedy, otherKind, unusable } from './answer-kind.ts'
import { gatherRejected } from './rejected-records.ts'

export interface RecordsOptions {
  readonly topic: string
  readonly format: 'json' | 'ndjson' | 'csv'
  readonly finder: JsonFinder
  readonly csv: CsvSyntax & { readonly header: boolean }
  readonly columns: PollColumns
  readonly decoder: RecordDecoder
  /** Whether the path may lead nowhere: an empty list that was left out. */
  readonly mayBeMissing: boolean
}

const newline = Buffer.from('\n')
const noBody = Buffer.alloc(0)
const noHeader = { start: -1, end: -1 } as const

/** Bytes that are gathered at a time, or one record; what holds them is kept for the next (gathering.ts). */
const gatheredBytesMax = 4 << 20

/** An answer, of which some records were gathered. */
interface Answer {
  readonly body: Buffer
  readonly parts: AnswerParts
  readonly receivedMs: number
  /** The line that each record of CSV is read by; null = none. */
  readonly header: Buffer | null
}

const noAnswer: Answer = {
  body: noBody,
  parts: { headers: {}, event: null, eventId: null },
  receivedMs: 0,
  header: null,
}

export class PollRecords {
  readonly #options: RecordsOptions
  readonly #gathering = new Gathering()
  #answer = noAnswer
  /** Places of its records, of which those before `#next` were gathered. */
  readonly #found = new Ranges()
  #next = 0
  /** Of the first record that is gathered, in its page or stream. */
  #offset = 0

  constructor(options: RecordsOptions) {
    this.#options = options
  }

  /** Records that were added and not taken. */
  get count(): number {
    return this.#gathering.count + this.#found.count - this.#next
  }

  /**
   * Finds the records of one whole answer; returns how many. `page`: of the run, from 1; 0 = there are none.
   * Throws `http.poll.answer`.
   */
  add(body: Buffer, parts: AnswerParts, receivedMs: number, page = 0): number {
    const { format, finder, csv, mayBeMissing } = this.#options
    this.clear()
    const found = this.#found
    this.#offset = 0
    this.#gathering.partition = page
    const type = parts.headers['content-type'] ?? ''
    const other = otherKind(format, body, type)
    if (other !== null) throw unusable(this.#options.topic, other.message, other.remedy)
    let header: Buffer | null = null
    if (format === 'csv') {
      csvRecords(body, { start: 0, end: body.length }, new CsvFields(csv), found)
      if (csv.header && found.count > 0) {
        header = body.subarray(found.starts[0], found.ends[0])
        this.#next = 1
      }
    } else if (format === 'ndjson') lines(body, 0, body.length, found)
    // 204, or nothing at all, is no record.
    else if (body.length > 0) {
      const place = { start: 0, end: body.length }
      const fault = findRecords(finder, body, place, found, mayBeMissing)
      if (fault !== null) throw unusable(this.#options.topic, fault.message, linesRemedy(body))
    }
    this.#answer = { body, parts, receivedMs, header }
    return this.count
  }

  /** Gathers one record, of a stream. */
  addOne(value: Uint8Array, parts: AnswerParts, receivedMs: number): void {
    const start = this.#gathering.put(value)
    this.#append(start, this.#gathering.end, this.#beside(parts), receivedMs)
  }

  /** Forgets what was added: its page is asked for once more. */
  clear(): void {
    this.#gathering.clear()
    this.#answer = noAnswer
    this.#next = 0
    this.#found.clear()
  }

  /** The values of records of an answer, for a look at them. */
  values(body: Buffer, countMax: number): Uint8Array[] {
    const values: Uint8Array[] = []
    this.add(body, noAnswer.parts, 0)
    while (values.length < countMax && this.count > 0) {
      this.#gather(countMax - values.length)
      const { bytes, valueStarts, valueEnds, count } = this.#gathering
      for (let i = 0; i < count; i++) values.push(bytes.slice(valueStarts[i], valueEnds[i]))
      this.#gathering.clear()
    }
    this.clear()
    return values
  }

  /**
   * Decodes up to so many records, or fewer where they are large; what is left is for the next call. Whoever has
   * a large answer lets others do something in between.
   */
  take(countMax = Number.POSITIVE_INFINITY): Decoded {
    const gathering = this.#gathering
    this.#gather(countMax)
    const decoded = this.#decode(gathering)
    this.#offset += gathering.count
    gathering.clear()
    if (this.count === 0) this.clear()
    return decoded
  }

  /** Records that were set aside, once more. */
  decodeAgain(batch: Batch): Decoded {
    const decoded = gatherRejected(batch, this.#options.columns).map((gathering) =>
      this.#decode(gathering),
    )
    return {
      changes: decoded.flatMap(({ changes }) => changes),
      rejected: decoded.flatMap(({ rejected }) => rejected),
    }
  }

  /**
   * The next records of the answer, some at a time: what is kept of a record while it is decoded is many times its
   * bytes where it is small, and with a header each gets a copy of that, since one that is set aside has to be read
   * without its answer.
   */
  #gather(countMax: number): void {
    const found = this.#found
    const { parts, header } = this.#answer
    if (this.#next === found.count) return
    const beside = this.#beside(parts)
    const end = Math.min(found.count, this.#next + countMax)
    if (header === null) this.#gatherPart(end, beside)
    else this.#gatherEach(header, end, beside)
  }

  /** They stand behind each other: one copy is all it takes. */
  #gatherPart(end: number, beside: Beside): void {
    const { body, receivedMs } = this.#answer
    const { starts, ends } = this.#found
    const from = this.#next
    const first = starts[from]!
    while (
      this.#next < end &&
      (this.#next === from || ends[this.#next]! - first < gatheredBytesMax)
    )
      this.#next++
    const base = this.#gathering.put(body.subarray(first, ends[this.#next - 1])) - first
    for (let i = from; i < this.#next; i++) {
      this.#append(base + starts[i]!, base + ends[i]!, beside, receivedMs)
    }
  }

  #gatherEach(header: Buffer, end: number, beside: Beside): void {
    const { body, receivedMs } = this.#answer
    const { starts, ends } = this.#found
    const gathering = this.#gathering
    while (this.#next < end && gathering.end < gatheredBytesMax) {
      const start = gathering.put(header)
      gathering.put(newline)
      gathering.put(body.subarray(starts[this.#next], ends[this.#next]))
      this.#next++
      this.#append(start, gathering.end, beside, receivedMs)
    }
  }

  #append(start: number, end: number, { extras, header }: Beside, receivedMs: number): void {
    const offset = this.#offset + this.#gathering.count
    this.#gathering.add(start, end, header, { extras, timeUs: receivedMs * 1000, offset })
  }

  #beside(parts: AnswerParts): Beside {
    const { columns } = this.#options
    if (columns.isEmpty) return { extras: noExtras, header: noHeader }
    const extras = columns.of(parts)
    // A dead letter has to say them too, or a retry would lose them.
    const start = this.#gathering.put(Buffer.from(columns.textOf(extras)))
    return { extras, header: { start, end: this.#gathering.end } }
  }

  #decode(gathering: Gathering): Decoded {
    const { decoder, columns, topic } = this.#options
    columns.current = gathering
    const decoded = decoder.decode(gathering, 0)
    columns.current = null
    if (decoded < gathering.count) {
      const message = `${topic}: its format waits for something that it cannot need`
      throw new SluiceError('internal.bug', { message })
    }
    return decoder.take()
  }
}

interface Beside {
  readonly extras: Extras
  readonly header: { readonly start: number; readonly end: number }
}
