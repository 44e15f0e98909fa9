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
import { linesRemedy, otherKind } from './answer-kind.ts'
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
const noHeader = { start: -1, end: -1 } as const

export class PollRecords {
  readonly #options: RecordsOptions
  readonly #found = new Ranges()
  readonly #gathering = new Gathering()
  #offset = 0
  /** Of those gathered. */
  #taken = 0

  constructor(options: RecordsOptions) {
    this.#options = options
  }

  /** Records gathered and not taken. */
  get count(): number {
    return this.#gathering.count - this.#taken
  }

  /**
   * Gathers the records of one whole answer; returns how many. `page`: of the run, from 1; 0 = there are none.
   * Throws `http.poll.answer`.
   */
  add(body: Buffer, parts: AnswerParts, receivedMs: number, page = 0): number {
    const { format, finder, csv, mayBeMissing } = this.#options
    const found = this.#found
    found.count = 0
    this.#offset = 0
    this.#gathering.partition = page
    const type = parts.headers['content-type'] ?? ''
    const other = otherKind(format, body, type)
    if (other !== null) throw this.#unusable(other.message, other.remedy)
    if (format === 'csv') {
      csvRecords(body, { start: 0, end: body.length }, new CsvFields(csv), found)
      return this.#addCsv(body, parts, receivedMs)
    }
    if (format === 'ndjson') lines(body, 0, body.length, found)
    // 204, or nothing at all, is no record.
    else if (body.length > 0) {
      const place = { start: 0, end: body.length }
      const fault = findRecords(finder, body, place, found, mayBeMissing)
      if (fault !== null) throw this.#unusable(fault.message, linesRemedy(body))
    }
    if (found.count === 0) return 0
    const base = this.#gathering.put(body)
    const beside = this.#beside(parts)
    for (let i = 0; i < found.count; i++) {
      this.#gather(base + found.starts[i]!, base + found.ends[i]!, beside, receivedMs)
    }
    return found.count
  }

  #unusable(what: string, remedy: string | null): SluiceError {
    return new SluiceError('http.poll.answer', {
      message: `poll.${this.#options.topic}: an answer cannot be used: ${what}`,
      ...(remedy !== null && { remedy }),
    })
  }

  /** Gathers one record, of a stream. */
  addOne(value: Uint8Array, parts: AnswerParts, receivedMs: number): void {
    const start = this.#gathering.put(value)
    this.#gather(start, this.#gathering.end, this.#beside(parts), receivedMs)
  }

  /** Forgets what was gathered: its page is asked for once more. */
  clear(): void {
    this.#gathering.clear()
    this.#taken = 0
  }

  /** The values of records of an answer, for a look at them. */
  values(body: Buffer, countMax: number): Uint8Array[] {
    const values: Uint8Array[] = []
    this.add(body, { headers: {}, event: null, eventId: null }, 0)
    const { bytes, valueStarts, valueEnds, count } = this.#gathering
    for (let i = 0; i < Math.min(count, countMax); i++) {
      values.push(bytes.slice(valueStarts[i], valueEnds[i]))
    }
    this.#gathering.clear()
    return values
  }

  /**
   * Decodes what was gathered, up to so many records; what is left is for the next call. Whoever has a large
   * answer lets others do something in between.
   */
  take(countMax = Number.POSITIVE_INFINITY): Decoded {
    const gathering = this.#gathering
    const { count } = gathering
    const end = Math.min(count, this.#taken + countMax)
    gathering.count = end
    const decoded = this.#decode(gathering, this.#taken)
    gathering.count = count
    this.#taken = end
    if (end === count) {
      this.#offset += count
      this.#taken = 0
      gathering.clear()
    }
    return decoded
  }

  /** Records that were set aside, once more. */
  decodeAgain(batch: Batch): Decoded {
    const decoded = gatherRejected(batch, this.#options.columns).map((gathering) =>
      this.#decode(gathering, 0),
    )
    return {
      changes: decoded.flatMap(({ changes }) => changes),
      rejected: decoded.flatMap(({ rejected }) => rejected),
    }
  }

  /** With a header each record gets a copy of it: one that is set aside has to be read without its answer. */
  #addCsv(body: Buffer, parts: AnswerParts, receivedMs: number): number {
    const found = this.#found
    const { header: hasHeader } = this.#options.csv
    const first = hasHeader ? 1 : 0
    const header = hasHeader ? body.subarray(found.starts[0], found.ends[0]) : null
    const beside = this.#beside(parts)
    for (let i = first; i < found.count; i++) {
      const start = this.#gathering.end
      if (header !== null) {
        this.#gathering.put(header)
        this.#gathering.put(newline)
      }
      this.#gathering.put(body.subarray(found.starts[i], found.ends[i]))
      this.#gather(start, this.#gathering.end, beside, receivedMs)
    }
    return Math.max(0, found.count - first)
  }

  #gather(start: number, end: number, { extras, header }: Beside, receivedMs: number): void {
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

  #decode(gathering: Gathering, from: number): Decoded {
    const { decoder, columns, topic } = this.#options
    columns.current = gathering
    const decoded = decoder.decode(gathering, from)
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
