/**
 * Log sequence numbers: places in the server's write-ahead log, 64 bits, written as two hexadecimal
 * halves: `16/B374D848`. Text order is not LSN order, so they are compared as numbers only.
 */
import { SluiceError } from '../../core/errors/error.ts'

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`
}

/** Throws `internal.bug` when the text is no LSN: it comes from the server or from our own log. */
export function parseLsn(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (match === null) {
    throw new SluiceError('internal.bug', { message: 'A text that should be an LSN is none.' })
  }
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}
