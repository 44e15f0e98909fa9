/**
 * The frame of every binary object of the log (commit, segment, snapshot, hint):
 *
 *   object = body, footer, tail
 *   body   = blocks and states, each a multiple of 8 bytes; their places and checksums are in the footer
 *   footer = JSON in UTF-8, zstd where that makes it smaller
 *   tail   = kind u32, storedBytes u32, rawBytes u32, crc32c u32, magic 8 bytes "SLUICE01"
 *
 * storedBytes and rawBytes are the footer's sizes as stored and as JSON; crc32c covers the footer as
 * stored and the twelve bytes before the checksum. The footer says how long the body is, so that a
 * cut or grown object is noticed too. It comes last, so that one suffix read brings it.
 */
import { createHash } from 'node:crypto'
import { crc32c } from '@node-rs/crc32'
import { corrupt } from './codec-bytes.ts'
import { compressFrameSync, openFrameSync } from './codec-frames.ts'

export const ObjectKind = { commit: 1, segment: 2, snapshot: 3, hint: 4 } as const
export type ObjectKind = (typeof ObjectKind)[keyof typeof ObjectKind]
const kindNames = ['?', 'commit', 'segment', 'snapshot', 'hint'] as const

export const tailBytes = 24
const magic = new TextEncoder().encode('SLUICE01')
const footerBytesMax = 256 * 1024 * 1024
/** JSON below this is left readable: it is small anyway. */
const compressBytesMin = 1024

/** Joins body parts (each a multiple of 8 bytes) and a footer into an object. */
export function sealObject(
  kind: ObjectKind,
  body: readonly Uint8Array[],
  footer: object,
): { readonly bytes: Uint8Array; readonly hash: string } {
  const json = new TextEncoder().encode(JSON.stringify(footer))
  const stored = json.length < compressBytesMin ? json : compressed(json)
  let bodyBytes = 0
  for (const part of body) bodyBytes += part.length
  const bytes = new Uint8Array(bodyBytes + stored.length + tailBytes)
  let at = 0
  for (const part of body) {
    bytes.set(part, at)
    at += part.length
  }
  bytes.set(stored, at)
  const end = at + stored.length
  const view = new DataView(bytes.buffer)
  view.setUint32(end, kind, true)
  view.setUint32(end + 4, stored.length, true)
  view.setUint32(end + 8, json.length, true)
  view.setUint32(end + 12, crc32c(bytes.subarray(at, end + 12)), true)
  bytes.set(magic, end + 16)
  return { bytes, hash: hashOf(bytes.subarray(at)) }
}

function compressed(json: Uint8Array): Uint8Array {
  return compressFrameSync({ bytes: json, owned: false }).bytes
}

/** A part of an object that holds at least its end. */
export interface ObjectPart {
  readonly key: string
  /** The object's bytes from `start` to its end. */
  readonly bytes: Uint8Array
  readonly start: number
}

export interface OpenedFooter {
  readonly json: unknown
  /** Of footer and tail, and through the checksums in the footer of everything else. */
  readonly hash: string
  /** Where the footer starts, which is the length of the body. */
  readonly bodyBytes: number
}

/** Bytes from the object's end that hold footer and tail; more than `part` has when it must be read anew. */
export function footerReach(part: ObjectPart, kind: ObjectKind): number {
  const { view, end, fail } = tailOf(part)
  const stored = view.getUint32(end + 4, true)
  const raw = view.getUint32(end + 8, true)
  const isMagic = magic.every((byte, index) => part.bytes[end + 16 + index] === byte)
  if (!isMagic) throw fail(16, 'this is not the end of an object of Sluice')
  if (view.getUint32(end, true) !== kind) throw fail(0, `this is no ${kindNames[kind]}`)
  if (raw > footerBytesMax || stored > raw || stored > part.start + end) {
    throw fail(4, `a footer of ${stored} bytes does not fit`)
  }
  return stored + tailBytes
}

/** The footer of an object of that kind. Throws `log.corrupt`. */
export function openFooter(part: ObjectPart, kind: ObjectKind): OpenedFooter {
  const reach = footerReach(part, kind)
  const { view, end, fail } = tailOf(part)
  const at = part.bytes.length - reach
  if (at < 0) throw fail(4, 'the footer was not read')
  if (view.getUint32(end + 12, true) !== crc32c(part.bytes.subarray(at, end + 12))) {
    throw fail(12, 'the checksum of the footer is wrong')
  }
  const place = { object: part.key, byte: part.start }
  const rawBytes = view.getUint32(end + 8, true)
  const json = openFrameSync({ stored: part.bytes.subarray(at, end), rawBytes, at }, place)
  return {
    json: parseJson(json, (what) => corrupt(place, at, what)),
    hash: hashOf(part.bytes.subarray(at)),
    bodyBytes: part.start + at,
  }
}

export function checksum(bytes: Uint8Array): number {
  return crc32c(bytes)
}

function tailOf(part: ObjectPart): {
  view: DataView
  end: number
  fail: (at: number, what: string) => Error
} {
  const { bytes, key, start } = part
  const end = bytes.length - tailBytes
  const place = { object: key, byte: start }
  if (end < 0) throw corrupt(place, 0, `${bytes.length} bytes are too few for an object`)
  return {
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    end,
    fail: (at, what) => corrupt(place, end + at, what),
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32)
}

function parseJson(bytes: Uint8Array, fail: (what: string) => Error): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw fail('the footer is not JSON')
  }
}
