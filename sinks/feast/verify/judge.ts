/**
 * Whether an online store has of one entity what the offline log says. Pure.
 *
 * Not compared, because both answers are right: rows newer than the time as of which is asked, on either
 * side, and rows that have lived their time, which go when the store comes round to it.
 */
import { eventUsAt, valueAt, type Expected } from './expected.ts'
import type { OnlineEntity } from './online.ts'
import type { FeatureView } from '../view.ts'

export type Finding = 'same' | 'mismatch' | 'missing' | 'extra'

/** One for each feature and one for the event time; null: not to be compared. */
export type Verdict = readonly Finding[] | null

export interface Moment {
  /** Later event times are left out. */
  readonly asOfUs: bigint
  /** The time of the look at the online store, ms since 1970. */
  readonly nowMs: number
}

/** `row`: of the page; −1 where the offline log does not have the entity. */
export function judge(
  view: FeatureView,
  { expected, row }: { readonly expected: Expected; readonly row: number },
  online: OnlineEntity | null,
  moment: Moment,
): Verdict {
  const gone = row < 0 || expected.page.deleted[row] === 1
  if (online === null) {
    if (gone || isExpired(view, eventUsAt(expected.page, row), moment)) return null
    return all(view, 'missing')
  }
  const { eventUs, values } = online
  if (eventUs !== null && (eventUs > moment.asOfUs || isExpired(view, eventUs, moment))) return null
  if (!gone) return compare(view, expected, row, online)
  const left = values.map((value) => value !== null && value.length > 0)
  if (row >= 0 && !left.includes(true)) {
    // Null by a deletion. Where there is nothing at all of an entity that was to be removed, we are not here.
    return view.onDelete === 'null' ? all(view, 'same') : all(view, 'extra')
  }
  return [...left.map((there): Finding => (there ? 'extra' : 'same')), row < 0 ? 'extra' : 'same']
}

function compare(
  view: FeatureView,
  { page, values: wanted }: Expected,
  row: number,
  { eventUs, values }: OnlineEntity,
): Verdict {
  const findings = view.features.map((_, f): Finding => {
    const value = values[f] ?? null
    const want = valueAt(wanted[f]!, row)
    if (value === null) return want.length === 0 ? 'same' : 'missing'
    return sameValue(value, want) ? 'same' : 'mismatch'
  })
  if (eventUs === null) return [...findings, 'missing']
  return [...findings, eventUs === eventUsAt(page, row) ? 'same' : 'mismatch']
}

function all({ features }: FeatureView, finding: Finding): Finding[] {
  return [...features.map(() => finding), finding]
}

function isExpired({ ttlMs }: FeatureView, eventUs: bigint, { nowMs }: Moment): boolean {
  return ttlMs !== null && Number(eventUs / 1000n) + ttlMs <= nowMs
}

const int32Tag = 0x18
const int64Tag = 0x20
const doubleTag = 0x29
const floatTag = 0x35

/**
 * One value, whatever width it has: a row written before its column was widened is an INT32 or a FLOAT
 * in the store still, and the same number to whoever reads it.
 */
export function sameValue(a: Uint8Array, b: Uint8Array): boolean {
  if (Buffer.compare(a, b) === 0) return true
  if (a.length === 0 || b.length === 0) return false
  if (isInteger(a) && isInteger(b)) return Buffer.compare(a.subarray(1), b.subarray(1)) === 0
  const x = floatOf(a)
  const y = floatOf(b)
  return x !== null && y !== null && a[0] !== b[0] && Object.is(x, y)
}

function isInteger(value: Uint8Array): boolean {
  return value[0] === int32Tag || value[0] === int64Tag
}

function floatOf(value: Uint8Array): number | null {
  const view = new DataView(value.buffer, value.byteOffset, value.length)
  if (value[0] === floatTag && value.length === 5) return view.getFloat32(1, true)
  if (value[0] === doubleTag && value.length === 9) return view.getFloat64(1, true)
  return null
}
