/**
 * From the body of a request to records: what kind of body it is, and where in it each record stands.
 *
 *   format   media type                                       records
 *   json     application/x-ndjson, jsonl and their kin        each line that is not blank
 *            application/x-www-form-urlencoded                 one: an object of texts, unless it begins as JSON
 *            application/cloudevents+json, -batch+json         the data of the event, or of each
 *            anything else but multipart                       an array's elements, or the one value
 *   csv      text/csv, or anything else but multipart          each record after the header
 *   text     anything                                          the body
 *   bytes    anything                                          the body
 *
 * Media types are believed only where they tell kinds apart: many senders say text/plain, or nothing, and
 * `curl -d` says form whatever it sends. No form begins with { or [, which are percent-encoded in one.
 */
import {
  byteOrderMark,
  csvRecords,
  CsvFields,
  type CsvSyntax,
} from '../../core/connector/format/csv-scan.ts'
import { lines, Ranges } from '../../core/connector/format/json-ranges.ts'
import type { Field } from '../../core/record/schema.ts'
import { cloudMode, EventReader, eventFault, headerAttributes } from './cloud-events.ts'
import type { Delivery } from './delivery.ts'
import { formToJson } from './form.ts'
import type { Gathering } from './gathering.ts'
import { arrayElements } from './json-array.ts'
import type { Refusal } from './push-body.ts'
import type { Attributes } from './push-columns.ts'

export type BodyFormat = 'json' | 'csv' | 'text' | 'bytes'

export interface BodyOptions {
  readonly format: BodyFormat
  readonly cloudEvents: 'off' | 'allow' | 'require'
  readonly rowsMax: number
  /** Of the values, for forms. */
  readonly fields: readonly Field[]
  readonly csv: CsvSyntax & { readonly header: boolean }
  /** Attributes of CloudEvents that columns or keys want. */
  readonly attributes: readonly string[]
}

/**
 * Called for each record of a body: its place in the gathering's bytes (−1 = without value). Returns what
 * is wrong with it, or null.
 */
export type OnRecord = (
  start: number,
  end: number,
  index: number,
  attributes: Attributes | null,
) => Refusal | null

const lineTypes = /^application\/(?:x-ndjson|ndjson|jsonl|x-jsonlines|x-jsonl|jsonlines)$/
const openBracket = 0x5b
const openBrace = 0x7b
const newline = Buffer.from('\n')

export class BodyReader {
  readonly #options: BodyOptions
  readonly #ranges = new Ranges()
  readonly #events: EventReader

  constructor(options: BodyOptions) {
    this.#options = options
    this.#events = new EventReader(options.attributes)
  }

  /** Finds the records of the delivery's body; ends at the first that is refused. */
  read(delivery: Delivery, gathering: Gathering, each: OnRecord): Refusal | null {
    const refusal = this.#read(delivery, gathering, each)
    this.#ranges.clear()
    this.#events.clear()
    return refusal
  }

  #read({ parts }: Delivery, gathering: Gathering, each: OnRecord): Refusal | null {
    const { format, cloudEvents } = this.#options
    const { request } = parts
    // What marks text as UTF-8 is no part of it (RFC 8259 §8.1); of a body that is kept whole it may be.
    const isKept = format === 'text' || format === 'bytes'
    const body = isKept ? parts.body : unmarked(parts.body)
    const mediaType = mediaTypeOf(request.headers['content-type'])
    if (mediaType.startsWith('multipart/')) {
      return unsupported('multipart bodies are not taken')
    }
    const mode = cloudEvents === 'off' ? null : cloudMode(mediaType, request.headers)
    if (mode === null && cloudEvents === 'require') return unsupported('this is no CloudEvent')
    if (mode === 'structured' || mode === 'batch') {
      return this.#readEvents(body, mode === 'batch', gathering, each)
    }
    let attributes: Attributes | null = null
    if (mode === 'binary') {
      attributes = headerAttributes(request.headers)
      const fault = eventFault(attributes)
      if (fault !== null) return badEvent(fault)
      if (body.length === 0) return each(-1, -1, 0, attributes)
    }
    if (isKept) {
      const start = gathering.put(body)
      return each(start, gathering.end, 0, attributes)
    }
    if (isBlank(body)) return { status: 400, code: 'http.empty', detail: 'the body is empty' }
    if (mediaType === 'application/x-www-form-urlencoded' && !isJsonLike(body)) {
      if (format !== 'json') {
        return unsupported('the media type is that of a form; of CSV it is text/csv')
      }
      const object = formToJson(body, this.#options.fields)
      if (object === null) return malformed('a form that is not UTF-8')
      const start = gathering.put(object)
      return each(start, gathering.end, 0, attributes)
    }
    if (format === 'csv') return this.#readCsv(body, gathering, attributes, each)
    const start = gathering.put(body)
    const found = this.#ranges
    if (lineTypes.test(mediaType)) lines(gathering.bytes, start, gathering.end, found)
    else if (firstByte(body) === openBracket) {
      const fault = arrayElements(gathering.bytes, start, gathering.end, found)
      if (fault !== null) return malformed(fault)
    } else found.add(start, gathering.end)
    return this.#each(found, attributes, each)
  }

  #each(found: Ranges, attributes: Attributes | null, each: OnRecord): Refusal | null {
    const { rowsMax } = this.#options
    if (found.count > rowsMax) return tooMany(rowsMax)
    for (let i = 0; i < found.count; i++) {
      const refusal = each(found.starts[i]!, found.ends[i]!, i, attributes)
      if (refusal !== null) return refusal
    }
    return null
  }

  /**
   * With a header each record gets a copy of it before it: requests of one batch may have headers of their
   * own, and a record that is set aside has to be read without its request.
   */
  #readCsv(
    body: Buffer,
    gathering: Gathering,
    attributes: Attributes | null,
    each: OnRecord,
  ): Refusal | null {
    const { csv, rowsMax } = this.#options
    const found = this.#ranges
    csvRecords(body, { start: 0, end: body.length }, new CsvFields(csv), found)
    const first = csv.header ? 1 : 0
    if (found.count - first > rowsMax) return tooMany(rowsMax)
    const header = csv.header ? body.subarray(found.starts[0], found.ends[0]) : null
    for (let i = first; i < found.count; i++) {
      const start = gathering.end
      if (header !== null) {
        gathering.put(header)
        gathering.put(newline)
      }
      gathering.put(body.subarray(found.starts[i], found.ends[i]))
      const refusal = each(start, gathering.end, i - first, attributes)
      if (refusal !== null) return refusal
    }
    return null
  }

  #readEvents(
    body: Buffer,
    isBatch: boolean,
    gathering: Gathering,
    each: OnRecord,
  ): Refusal | null {
    const found = isBatch ? this.#events.batch(body) : wholeOf(body, this.#ranges)
    if ('message' in found) return malformed(found.message)
    const { rowsMax } = this.#options
    if (found.count > rowsMax) return tooMany(rowsMax)
    const base = gathering.put(body)
    for (let i = 0; i < found.count; i++) {
      const event = this.#events.event(body, found.starts[i]!, found.ends[i]!)
      if (typeof event === 'string') return badEvent(isBatch ? `event ${i}: ${event}` : event)
      const { start, end, decoded, attributes } = event
      const at = decoded === null ? base + start : gathering.put(decoded)
      const refusal =
        decoded === null
          ? each(start < 0 ? -1 : at, start < 0 ? -1 : base + end, i, attributes)
          : each(at, gathering.end, i, attributes)
      if (refusal !== null) return refusal
    }
    return null
  }
}

function unmarked(body: Buffer): Buffer {
  const marked = byteOrderMark(body, 0, body.length)
  return marked === 0 ? body : body.subarray(marked)
}

/** In lower case, without parameters. */
function mediaTypeOf(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

function wholeOf(body: Buffer, ranges: Ranges): Ranges {
  ranges.add(0, body.length)
  return ranges
}

function firstByte(body: Buffer): number {
  let at = 0
  while (at < body.length && body[at]! <= 0x20) at++
  return body[at] ?? 0
}

function isJsonLike(body: Buffer): boolean {
  const first = firstByte(body)
  return first === openBracket || first === openBrace
}

function isBlank(body: Buffer): boolean {
  return firstByte(body) <= 0x20
}

function malformed(detail: string): Refusal {
  return { status: 400, code: 'http.malformed', detail: `the body is ${detail}` }
}
function unsupported(detail: string): Refusal {
  return { status: 415, code: 'http.media_type', detail }
}
function badEvent(fault: string): Refusal {
  return { status: 400, code: 'http.cloud_event', detail: `not a CloudEvent: ${fault}` }
}
function tooMany(rowsMax: number): Refusal {
  const detail = `a request may have ${rowsMax} rows`
  return { status: 413, code: 'http.too_many_rows', detail, more: { limit: rowsMax } }
}
