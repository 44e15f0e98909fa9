/**
 * The body and the id of an event.
 *
 *   body = { "type": topic '.' kind, "timestamp": when it was committed at the source, "data": row,
 *            "previous": old row,                    update of a retract topic only
 *            "topic", "op": kind, "offset": in the topic, "key": { key fields } or null }
 *   id   = pipeline '_' topic '-' hash '_' offset '_' time
 *
 * `data` of a delete has what the topic knows of the row that went: all of it where the topic keeps
 * old rows (retract), else its key. The body of an event is the same bytes on every attempt.
 *
 * The id names the event for ever: it is made of what the log holds and nothing else. The time in it
 * keeps a log that was begun anew, and counts its offsets from 0 again, from reusing ids that the
 * endpoint has seen. No full stop can be in it (see sign.ts), and its length is bounded.
 */
import { createHash } from 'node:crypto'
import type { SinkBatch } from '../../core/connector/sink.ts'
import {
  isoTimestamp,
  jsonRows,
  type JsonColumn,
  type JsonOptions,
} from '../../core/record/json.ts'
import type { EventKind } from './config.ts'
import type { ChangeEvent } from './events.ts'
import type { EventValues } from './template.ts'

export class Payloads {
  readonly #batch: SinkBatch
  readonly #ids: string
  /** What stands before `data`, by kind; the time in it is that of `#timeUs`. */
  readonly #heads = new Map<EventKind, string>()
  #timeUs = Number.NaN
  /** The end of ids, for rows of `#idTimeUs`. */
  #idTime = ''
  #idTimeUs = Number.NaN
  readonly #tail: string
  readonly #row: JsonColumn
  readonly #key: JsonColumn | null
  readonly #deleted: JsonColumn

  constructor(pipeline: string, batch: SinkBatch, options: JsonOptions) {
    const { schema } = batch.batch
    this.#batch = batch
    this.#ids = idStem(pipeline, batch.topic)
    this.#tail = `,"topic":${JSON.stringify(batch.topic)},"op":"`
    this.#row = jsonRows(batch.batch, undefined, options)
    this.#key = schema.key.length === 0 ? null : jsonRows(batch.batch, schema.key, options)
    this.#deleted = schema.changelog === 'upsert' && this.#key !== null ? this.#key : this.#row
  }

  id({ row }: ChangeEvent): string {
    const timeUs = this.#batch.batch.timesUs[row]!
    if (timeUs !== this.#idTimeUs) {
      this.#idTimeUs = timeUs
      this.#idTime = Math.round(timeUs).toString(36)
    }
    return `${this.#ids}_${this.#batch.offset + row}_${this.#idTime}`
  }

  /** Throws TypeError when JSON cannot hold a text of the row. */
  body(event: ChangeEvent): Buffer {
    return Buffer.from(this.text(event))
  }

  /** The usual body as text. Throws TypeError when JSON cannot hold a text of the row. */
  text({ kind, row, previous }: ChangeEvent): string {
    const old = previous < 0 ? '' : `,"previous":${this.#row(previous)}`
    const data = kind === 'delete' ? this.#deleted(row) : this.#row(row)
    const key = this.#key === null ? 'null' : this.#key(row)
    const offset = this.#batch.offset + row
    const head = this.#head(kind, this.#batch.batch.timesUs[row]!)
    return `${head}${data}${old}${this.#tail}${kind}","offset":${offset},"key":${key}}`
  }

  /** The event's own parts, for templates. */
  values(): EventValues {
    const { topic, offset, batch } = this.#batch
    return {
      topic,
      offset,
      id: (event) => this.id(event),
      timestamp: ({ row }) => isoTimestamp(batch.timesUs[row]!, 'Z'),
      data: ({ kind, row }) => (kind === 'delete' ? this.#deleted(row) : this.#row(row)),
      previous: ({ previous }) => (previous < 0 ? 'null' : this.#row(previous)),
      key: ({ row }) => (this.#key === null ? 'null' : this.#key(row)),
      event: (event) => this.text(event),
    }
  }

  /** Rows of one transaction have one time, so that most heads were written before. */
  #head(kind: EventKind, timeUs: number): string {
    if (timeUs !== this.#timeUs) this.#heads.clear()
    this.#timeUs = timeUs
    let head = this.#heads.get(kind)
    if (head === undefined) {
      const type = JSON.stringify(`${this.#batch.topic}.${kind}`)
      head = `{"type":${type},"timestamp":"${isoTimestamp(timeUs, 'Z')}","data":`
      this.#heads.set(kind, head)
    }
    return head
  }
}

/** A truncate as an event. It has no row, hence no time of its own: `nowMs` is when it was first tried. */
export function truncateEvent(
  pipeline: string,
  topic: string,
  at: { readonly id: string; readonly offset: number },
  nowMs: number,
): { readonly id: string; readonly time: string; readonly body: object } {
  const time = isoTimestamp(nowMs * 1000, 'Z')
  const id = `${idStem(pipeline, topic)}_${at.offset}_${hash(at.id)}`
  const type = `${topic}.truncate`
  const { offset } = at
  const body = { type, timestamp: time, data: null, topic, op: 'truncate', offset, key: null }
  return { id, time, body }
}

/** Readable as far as that is safe; the hash keeps apart what the replaced letters make equal. */
function idStem(pipeline: string, topic: string): string {
  return `${safe(pipeline)}_${safe(topic)}-${hash(`${pipeline}\0${topic}`)}`
}

function safe(name: string): string {
  return name.replace(/[^A-Za-z0-9-]+/g, '-').slice(0, 48)
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
