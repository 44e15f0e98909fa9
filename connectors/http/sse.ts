/**
 * Server-sent events, out of pieces cut anywhere (WHATWG HTML, 9.2.5 and 9.2.6).
 *
 *   stream  = [ BOM ] *event
 *   event   = *( comment | field ) line-end
 *   comment = ':' *any line-end
 *   field   = name [ ':' [ ' ' ] *any ] line-end        name: data, event, id, retry; others are passed over
 *
 * Lines of `data` are joined by LF; an event without any is none, but its id counts. An event that the end
 * of the stream cuts off is thrown away: it comes again after the id before it.
 */
import { SluiceError } from '../../core/errors/error.ts'
import { byteOrderMark } from '../../core/connector/format/csv-scan.ts'
import { LineReader } from './line-reader.ts'
import { Pieces } from './pieces.ts'

export interface SseEvent {
  /** `message` where the event does not say. */
  readonly type: string
  /** Good until the call that got it returns. */
  readonly data: Buffer
  /** Of the last event that had one. */
  readonly id: string | null
}

const newline = Buffer.from('\n')

export class SseReader {
  /** What the server wants between two connections, in ms; null = it does not say. */
  retryMs: number | null = null
  /** Of the last event that had one, whether it had data or not. */
  lastId: string | null
  readonly #name: string
  readonly #bytesMax: number
  readonly #lines: LineReader
  #isFirstLine = true
  /** Of the event that comes in, each line with its LF. */
  readonly #data = new Pieces()
  #type = ''
  #id: string | null

  /** `lastId`: of the connection before. */
  constructor(name: string, bytesMax: number, lastId: string | null) {
    this.#name = name
    this.#bytesMax = bytesMax
    this.#lines = new LineReader(name, bytesMax, true)
    this.lastId = lastId
    this.#id = lastId
  }

  push(piece: Buffer, each: (event: SseEvent) => void): void {
    this.#lines.push(piece, (line) => this.#line(line, each))
  }

  #line(line: Buffer, each: (event: SseEvent) => void): void {
    const start = this.#isFirstLine ? byteOrderMark(line, 0, line.length) : 0
    this.#isFirstLine = false
    if (line.length === start) return this.#dispatch(each)
    const colon = line.indexOf(0x3a, start)
    if (colon === start) return
    const name = line.toString('latin1', start, colon < 0 ? line.length : colon)
    const isPadded = line[colon + 1] === 0x20
    const value = colon < 0 ? line.subarray(line.length) : line.subarray(colon + (isPadded ? 2 : 1))
    this.#field(name, value)
  }

  #field(name: string, value: Buffer): void {
    switch (name) {
      case 'data':
        if (this.#data.bytes + value.length + 1 > this.#bytesMax) {
          const message = `${this.#name}: an event has more than ${this.#bytesMax} bytes`
          throw new SluiceError('http.poll.too_large', { message })
        }
        this.#data.push(Buffer.from(value))
        this.#data.push(newline)
        return
      case 'event':
        this.#type = value.toString()
        return
      case 'id':
        // Those of NUL are passed over by the standard; others like it fit into no header either.
        if (value.every((byte) => byte >= 0x20 && byte !== 0x7f)) this.#id = value.toString()
        return
      case 'retry':
        if (/^\d{1,9}$/.test(value.toString('latin1'))) this.retryMs = Number(value.toString())
    }
  }

  #dispatch(each: (event: SseEvent) => void): void {
    // An empty id takes the one before back.
    this.lastId = this.#id === '' ? null : this.#id
    const type = this.#type === '' ? 'message' : this.#type
    this.#type = ''
    if (this.#data.bytes === 0) return
    const data = this.#data.take().subarray(0, -1)
    each({ type, data, id: this.lastId })
  }
}
