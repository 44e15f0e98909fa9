/** Reads the operator state that a chain's commits point to. */
import type { ChainState, StateRef } from './chain-state.ts'
import { corrupt } from './codec-bytes.ts'
import { align8, openFrame } from './codec-frames.ts'
import { checksum } from './codec-object.ts'
import { missing } from './load.ts'
import { readObject, type Log } from './log.ts'

/** State parts read at the same time. */
const readWidth = 8

/** The last full state, if any, and the deltas after it, in order. */
export async function loadState(
  log: Log,
  state: ChainState,
  signal: AbortSignal,
): Promise<{ readonly full: Uint8Array | null; readonly deltas: readonly Uint8Array[] }> {
  const full = state.stateFull === null ? null : await loadPart(log, state, state.stateFull, signal)
  const refs = state.stateDeltas.slice()
  const deltas: Uint8Array[] = []
  for (let at = 0; at < refs.length; at += readWidth) {
    const some = refs.slice(at, at + readWidth)
    deltas.push(...(await Promise.all(some.map((ref) => loadPart(log, state, ref, signal)))))
  }
  return { full, deltas }
}

async function loadPart(
  log: Log,
  state: ChainState,
  { key, part }: StateRef,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const start = part.byteStart
  const end = start + align8(part.byteEnd - start)
  const found =
    start === end
      ? { bytes: new Uint8Array(0) }
      : await readObject(log, key, signal, { start, end })
  if (found === null) throw missing(log, key, state.floor)
  const place = { object: key, byte: start }
  if (found.bytes.length !== end - start)
    throw corrupt(place, found.bytes.length, 'the state ends early')
  if (checksum(found.bytes) !== part.crc32c)
    throw corrupt(place, 0, 'the checksum of a state is wrong')
  const stored = found.bytes.subarray(0, part.byteEnd - start)
  return openFrame({ stored, rawBytes: part.rawBytes, at: 0 }, place)
}
