/**
 * FeatureRows → calls of the script, as bytes on the wire. Hot: nothing is made for a row.
 *
 *   call     = '*' count CRLF argument*                        RESP2, "RESP protocol description"
 *   argument = '$' length CRLF bytes CRLF
 *   arguments = EVALSHA · script · number of keys · key* · what script.ts says of each
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

/** One call for the entities named by `order[from, to)`, in the memory of `out`. */
export function encodeCall(
  out: BytesOut,
  rows: FeatureRows,
  { order, from, to }: { readonly order: Int32Array; readonly from: number; readonly to: number },
  options: CallOptions,
): Buffer {
  const { view } = rows
  const head = view.ttlMs === null ? 2 : 3
  out.end = 0
  out.ensure(sizeHint(rows, order, from, to) + options.script.length)
  let count = 3 + to - from
  for (let i = from; i < to; i++) {
    count += rows.ops[order[i]!] === FeatureOp.set ? head + view.features.length : head
  }
  out.bytes[out.end++] = star
  digits(out, count)
  lineEnd(out)
  text(out, options.verb === 'EVALSHA' ? evalsha : evalText)
  text(out, options.script)
  number(out, to - from)
  for (let i = from; i < to; i++) key(out, rows, order[i]!, options.project)
  for (let i = from; i < to; i++) entity(out, rows, order[i]!, options)
  return Buffer.from(out.bytes.buffer, 0, out.end)
}

const evalsha = Buffer.from('EVALSHA')
const evalText = Buffer.from('EVAL')

/** About what a call takes; it is only a first size. */
function sizeHint(rows: FeatureRows, order: Int32Array, from: number, to: number): number {
  let bytes = 128
  for (let i = from; i < to; i++) {
    const at = order[i]!
    bytes += 128 + rows.keyOffsets[at + 1]! - rows.keyOffsets[at]!
    for (const { offsets } of rows.values) bytes += offsets[at + 1]! - offsets[at]! + 8
  }
  return bytes
}

function entity(out: BytesOut, rows: FeatureRows, at: number, options: CallOptions): void {
  const { view, values } = rows
  scratch.end = 0
  writeTimestamp(scratch, rows.seconds[at]!, rows.nanos[at]!)
  span(out, scratch.bytes, 0, scratch.end)
  mark(out, rows, at, options.forgottenMs)
  if (view.ttlMs !== null) number(out, expiresMs(rows, at, view.ttlMs))
  if (rows.ops[at] !== FeatureOp.set) return
  for (let i = 0; i < values.length; i++) {
    const { data, offsets } = values[i]!
    span(out, data, offsets[at]!, offsets[at + 1]!)
  }
}

/**
 * What servers take as a field's end (redis 8.0, t_hash.c, HFE_MAX_ABS_TIME_MSEC, the year 4199): later than that is
 * never, and before 1970 is over.
 */
const expiresMsMin = 1
const expiresMsMax = 0x3fff_ffff_ffff - 1000

/** When the row of an entity has lived long enough: whole ms, rounded up. */
export function expiresMs(rows: FeatureRows, at: number, ttlMs: number): number {
  const ms = rows.seconds[at]! * 1000 + Math.ceil(rows.nanos[at]! / 1e6) + ttlMs
  return Math.min(expiresMsMax, Math.max(expiresMsMin, ms))
}

function mark(out: BytesOut, rows: FeatureRows, at: number, forgottenMs: number): void {
  scratch.end = 0
  const deleted = rows.deletedAt[at]!
  if (rows.ops[at] === FeatureOp.set) digits(scratch, rows.offsets[at]!)
  else scratch.bytes[scratch.end++] = minus
  if (deleted >= 0) {
    scratch.bytes[scratch.end++] = space
    digits(scratch, deleted)
  }
  if (rows.ops[at] !== FeatureOp.set) {
    scratch.bytes[scratch.end++] = space
    digits(scratch, forgottenMs)
  }
  span(out, scratch.bytes, 0, scratch.end)
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
