/**
 * Event times as Feast keeps them: google.protobuf.Timestamp (protobuf, timestamp.proto).
 *
 *   timestamp = [ 0x08 seconds:varint ] [ 0x10 nanos:varint ]        each left out when it is 0
 *
 * `seconds` is since 1970, negative before it; `nanos` counts forward, from 0 to 999 999 999. The
 * type holds the years 1 to 9999, which are also those of Python's datetime, into which Feast reads it.
 */
import type { BytesOut } from '../bytes-out.ts'

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
export const secondsMin = -62_135_596_800
export const secondsMax = 253_402_300_799
/** The most bytes that `writeTimestamp` writes: two tags, a 64-bit varint, a 30-bit one. */
export const timestampBytesMax = 17

const secondsTag = 0x08
const nanosTag = 0x10

/** The room must be there. */
export function writeTimestamp(out: BytesOut, seconds: number, nanos: number): void {
  if (seconds !== 0) {
    out.bytes[out.end++] = secondsTag
    out.signedVarint(seconds)
  }
  if (nanos !== 0) {
    out.bytes[out.end++] = nanosTag
    out.varint(nanos)
  }
}
