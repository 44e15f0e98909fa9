/**
 * FeatureRows → calls of the script, as bytes on the wire. Hot: nothing is made for a row.
 *
 *   call     = '*' count CRLF argument*                        RESP2, "RESP protocol description"
 *   argument = '$' length CRLF bytes CRLF
 *   arguments = EVALSHA · script · number of keys · key* · what script.ts says of all
 */
import { BytesOut } from '../bytes-out.ts'
import { timestampBytesMax, writeTimestamp } from '../layout/timestamp.ts'
import { FeatureOp, type FeatureRows } from '../target.ts'

const cr = 0x0d
const lf = 0x0a
const dollar = 0x24
const star = 0x2a
const minus = 0x2d
const space = 0x20
const zero = 0x30
/** `$`, ten digits, two line ends. */
const framingBytes = 15
const u32Bytes = 4
/** Of a number up to 2^53, with its sign. */
const digitsMax = 17

export interface CallOptions {
  /** `EVALSHA` and the script's hash, or `EVAL` and its text. */
  readonly verb: 'EVALSHA' | 'EVAL'
  readonly script: Uint8Array
  /** UTF-8; every key ends with it. */
  readonly project: Uint8Array
  /** When a tombstone made now is forgotten, ms since 1970. */
  readonly forgottenMs: number
}

const scratch = new BytesOut(timestampBytesMax + 64)
/** The last argument of the call that is being made. Its memory stays, up to this much. */
let entities = new BytesOut()
const entitiesBytesMax = 256 * 1024

/** One call for the entities named by `order[from, to)`, in the memory of `out`. */
export function encodeCall(
  out: BytesOut,
  rows: FeatureRows,
  { order, from, to }: { readonly order: Int32Array; readonly from: number; readonly to: number },
  options: CallOptions,
): Buffer {
  if (entities.bytes.length > entitiesBytesMax) entities = new BytesOut()
  entities.end = 0
  for (let i = from; i < to; i++) entity(entities, rows, order[i]!, options.forgottenMs)
  out.end = 0
  out.ensure(entities.end + (to - from) * keyBytesHint + options.script.length)
  out.bytes[out.end++] = star
  digits(out, 4 + to - from)
  lineEnd(out)
  text(out, options.verb === 'EVALSHA' ? evalsha : evalText)
  text(out, options.script)
  number(out, to - from)
  for (let i = from; i < to; i++) key(out, rows, order[i]!, options.project)
  span(out, entities.bytes, 0, entities.end)
  return Buffer.from(out.bytes.buffer, 0, out.end)
}

const evalsha = Buffer.from('EVALSHA')
const evalText = Buffer.from('EVAL')

/** It is only a first size. */
const keyBytesHint = 64
/** A time, a mark and when it expires, with their lengths. */
const headBytesMax = 4 * u32Bytes + timestampBytesMax + 3 * digitsMax + 4

function entity(out: BytesOut, rows: FeatureRows, at: number, forgottenMs: number): void {
  const { view, values } = rows
  out.ensure(headBytesMax)
  let start = begin(out)
  writeTimestamp(out, rows.seconds[at]!, rows.nanos[at]!)
  end(out, start)
  start = begin(out)
  mark(out, rows, at, forgottenMs)
  end(out, start)
  if (view.ttlMs !== null) {
    start = begin(out)
    digits(out, expiresMs(rows, at, view.ttlMs))
    end(out, start)
  }
  start = begin(out)
  if (rows.ops[at] === FeatureOp.set) {
    for (let i = 0; i < values.length; i++) {
      const { data, offsets } = values[i]!
      const length = offsets[at + 1]! - offsets[at]!
      out.ensure(u32Bytes + length)
      length32(out, out.end, length)
      out.end += u32Bytes
      out.copy(data, offsets[at]!, offsets[at + 1]!)
    }
  }
  end(out, start)
}

/** Leaves room for the length of what is written next. */
function begin(out: BytesOut): number {
  out.end += u32Bytes
  return out.end
}

function end(out: BytesOut, start: number): void {
  length32(out, start - u32Bytes, out.end - start)
}

/** Little-endian. */
function length32({ bytes }: BytesOut, at: number, length: number): void {
  bytes[at] = length
  bytes[at + 1] = length >>> 8
  bytes[at + 2] = length >>> 16
  bytes[at + 3] = length >>> 24
}

/** When the row of an entity has lived long enough: whole ms, rounded up. */
export function expiresMs(rows: FeatureRows, at: number, ttlMs: number): number {
  return rows.seconds[at]! * 1000 + Math.ceil(rows.nanos[at]! / 1e6) + ttlMs
}

function mark(out: BytesOut, rows: FeatureRows, at: number, forgottenMs: number): void {
  const deleted = rows.deletedAt[at]!
  if (rows.ops[at] === FeatureOp.set) digits(out, rows.offsets[at]!)
  else out.bytes[out.end++] = minus
  if (deleted >= 0) {
    out.bytes[out.end++] = space
    digits(out, deleted)
  }
  if (rows.ops[at] !== FeatureOp.set) {
    out.bytes[out.end++] = space
    digits(out, forgottenMs)
  }
}

function key(out: BytesOut, rows: FeatureRows, at: number, project: Uint8Array): void {
  const from = rows.keyOffsets[at]!
  const end = rows.keyOffsets[at + 1]!
  out.ensure(framingBytes + end - from + project.length)
  out.bytes[out.end++] = dollar
  digits(out, end - from + project.length)
  lineEnd(out)
  out.copy(rows.keys, from, end)
  out.copy(project, 0, project.length)
  lineEnd(out)
}

function text(out: BytesOut, bytes: Uint8Array): void {
  span(out, bytes, 0, bytes.length)
}

function span(out: BytesOut, bytes: Uint8Array, from: number, end: number): void {
  out.ensure(framingBytes + end - from)
  out.bytes[out.end++] = dollar
  digits(out, end - from)
  lineEnd(out)
  out.copy(bytes, from, end)
  lineEnd(out)
}

function number(out: BytesOut, value: number): void {
  scratch.end = 0
  digits(scratch, value)
  span(out, scratch.bytes, 0, scratch.end)
}

function lineEnd(out: BytesOut): void {
  out.bytes[out.end++] = cr
  out.bytes[out.end++] = lf
}

/** A whole number from −2^53 to 2^53. */
function digits(out: BytesOut, value: number): void {
  if (value < 0) {
    out.bytes[out.end++] = minus
    value = -value
  }
  if (value < 10) {
    out.bytes[out.end++] = zero + value
    return
  }
  let length = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) length++
  let at = out.end + length
  out.end = at
  for (let i = 0; i < length; i++) {
    const rest = Math.floor(value / 10)
    out.bytes[--at] = zero + (value - rest * 10)
    value = rest
  }
}
