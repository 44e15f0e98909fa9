/** Records as they are gathered from batches: arrays that grow and are used again; no object a record. */
import type { Records } from '../../core/connector/format/records.ts'

export class RecordMemory implements Records {
  bytes: Uint8Array = new Uint8Array(0)
  count = 0
  partition = 0
  keyStarts = new Int32Array(1024)
  keyEnds = new Int32Array(1024)
  valueStarts = new Int32Array(1024)
  valueEnds = new Int32Array(1024)
  headerStarts = new Int32Array(1024)
  headerEnds = new Int32Array(1024)
  timesUs = new Float64Array(1024)
  offsets = new Float64Array(1024)

  /** Room for so many records more: whoever fills them in need not look again. */
  reserve(records: number): void {
    const wanted = this.count + records
    let room = this.offsets.length
    if (wanted <= room) return
    while (room < wanted) room *= 2
    this.keyStarts = grown(this.keyStarts, new Int32Array(room))
    this.keyEnds = grown(this.keyEnds, new Int32Array(room))
    this.valueStarts = grown(this.valueStarts, new Int32Array(room))
    this.valueEnds = grown(this.valueEnds, new Int32Array(room))
    this.headerStarts = grown(this.headerStarts, new Int32Array(room))
    this.headerEnds = grown(this.headerEnds, new Int32Array(room))
    this.timesUs = grown(this.timesUs, new Float64Array(room))
    this.offsets = grown(this.offsets, new Float64Array(room))
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}

/** The first record at or after `offset`: a batch comes whole, wherever in it was asked for. `count` = none. */
export function firstAt({ offsets, count }: Records, offset: number): number {
  if (count === 0 || offsets[0]! >= offset) return 0
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if (offsets[middle]! < offset) low = middle + 1
    else high = middle
  }
  return low
}
