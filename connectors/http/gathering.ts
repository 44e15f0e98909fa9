/**
 * Gathering: the records of many requests in one piece of memory, so that one pass of the decoder makes one
 * batch of them. Kept from batch to batch.
 */
import type { Records } from '../../core/connector/format/records.ts'

const bytesFirst = 64 * 1024
/** Memory that grew beyond this for one batch is not kept for the next. */
const bytesKept = 8 << 20

/** Values of a record that do not come out of its body, one a column. */
export type Extras = readonly (string | null)[]

export const noExtras: Extras = []

/** Places in the gathering's bytes; a start of −1 = none. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** What records have beside their bodies, and where that stands for a dead letter. */
export interface Beside {
  readonly header: ByteRange
  readonly extras: Extras
  readonly timeUs: number
}

/** Records with what is beside them; an offset is a record's place in its request or page. */
export interface DecodedRecords extends Records {
  readonly extras: readonly Extras[]
}

export class Gathering implements DecodedRecords {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(bytesFirst)
  /** Bytes used. */
  end = 0
  count = 0
  valueStarts = new Int32Array(64)
  valueEnds = new Int32Array(64)
  headerStarts = new Int32Array(64)
  headerEnds = new Int32Array(64)
  timesUs = new Float64Array(64)
  offsets = new Float64Array(64)
  /** Requests have no keys beside their bodies: always −1. */
  keyStarts = new Int32Array(64).fill(-1)
  keyEnds = new Int32Array(64).fill(-1)
  /** The page of a run, from 1; 0: of requests and streams. */
  partition = 0
  /** One a record; the same for all of a request, mostly. */
  extras: Extras[] = []

  /** Copies bytes in; returns where they begin. */
  put(source: Uint8Array): number {
    const start = this.end
    this.end += source.length
    if (this.end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.end))
      grown.set(this.bytes.subarray(0, start))
      this.bytes = grown
    }
    this.bytes.set(source, start)
    return start
  }

  /** Adds the record whose value is bytes[start, end); `header` as a range too, or −1. */
  add(
    start: number,
    end: number,
    header: ByteRange,
    record: { readonly extras: Extras; readonly timeUs: number; readonly offset: number },
  ): void {
    const { extras, timeUs, offset } = record
    this.append(start, end, { header, extras, timeUs }, offset)
  }

  /** The same where many records have the same beside them: nothing is made for each. */
  append(start: number, end: number, beside: Beside, offset: number): void {
    if (this.count === this.valueStarts.length) this.#grow()
    const at = this.count++
    this.valueStarts[at] = start
    this.valueEnds[at] = end
    this.headerStarts[at] = beside.header.start
    this.headerEnds[at] = beside.header.end
    this.timesUs[at] = beside.timeUs
    this.offsets[at] = offset
    this.extras[at] = beside.extras
  }

  /** Takes back all records from `count` on, and all bytes from `end` on. */
  rewind(count: number, end: number): void {
    this.count = count
    this.end = end
    this.extras.length = count
  }

  clear(): void {
    this.rewind(0, 0)
    if (this.bytes.length > bytesKept) this.bytes = new Uint8Array(bytesFirst)
  }

  /** Records [from, to) as if they were alone. Valid until something is added. */
  part(from: number, to: number): DecodedRecords {
    const cut = (array: Int32Array): Int32Array => array.subarray(from, to)
    return {
      bytes: this.bytes,
      count: to - from,
      keyStarts: cut(this.keyStarts),
      keyEnds: cut(this.keyEnds),
      valueStarts: cut(this.valueStarts),
      valueEnds: cut(this.valueEnds),
      headerStarts: cut(this.headerStarts),
      headerEnds: cut(this.headerEnds),
      timesUs: this.timesUs.subarray(from, to),
      offsets: this.offsets.subarray(from, to),
      partition: this.partition,
      extras: this.extras.slice(from, to),
    }
  }

  /** Leaves out the records of all ranges but these, which are in order. */
  keep(ranges: readonly { readonly from: number; readonly to: number }[]): void {
    let at = 0
    for (const { from, to } of ranges) {
      for (const array of [this.valueStarts, this.valueEnds, this.headerStarts, this.headerEnds]) {
        array.copyWithin(at, from, to)
      }
      this.timesUs.copyWithin(at, from, to)
      this.offsets.copyWithin(at, from, to)
      for (let i = from; i < to; i++) this.extras[at + i - from] = this.extras[i]!
      at += to - from
    }
    this.rewind(at, this.end)
  }

  #grow(): void {
    const capacity = this.valueStarts.length * 2
    const wider = (from: Int32Array): Int32Array<ArrayBuffer> => {
      const to = new Int32Array(capacity).fill(-1)
      to.set(from)
      return to
    }
    const longer = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(capacity)
      to.set(from)
      return to
    }
    this.valueStarts = wider(this.valueStarts)
    this.valueEnds = wider(this.valueEnds)
    this.headerStarts = wider(this.headerStarts)
    this.headerEnds = wider(this.headerEnds)
    this.keyStarts = wider(this.keyStarts)
    this.keyEnds = wider(this.keyEnds)
    this.timesUs = longer(this.timesUs)
    this.offsets = longer(this.offsets)
  }
}
