/** Values as serialisers of the registry write them, and records of values, for tests. */
import type { Records } from '../../../../core/connector/format/records.ts'

/** The byte 0, the schema's id, and for Protobuf the message index before the payload. */
export function framed(id: number, ...payload: readonly Uint8Array[]): Uint8Array {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(id, 1)
  return Buffer.concat([prefix, ...payload])
}

/** Records of these values, without keys, offsets from 0. */
export function recordsOf(values: readonly Uint8Array[]): Records {
  const starts = new Int32Array(values.length)
  const ends = new Int32Array(values.length)
  let at = 0
  values.forEach((value, i) => {
    starts[i] = at
    at += value.length
    ends[i] = at
  })
  const none = new Int32Array(values.length).fill(-1)
  return {
    bytes: Buffer.concat(values),
    count: values.length,
    keyStarts: none,
    keyEnds: none,
    valueStarts: starts,
    valueEnds: ends,
    headerStarts: none,
    headerEnds: none,
    timesUs: new Float64Array(values.length),
    offsets: Float64Array.from(values, (_, i) => i),
    partition: 0,
  }
}
