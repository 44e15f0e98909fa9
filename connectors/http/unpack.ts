/**
 * Bodies as they were before their sender packed them (Content-Encoding, RFC 9110 §8.4), within a bound: a few
 * kilobytes may claim to be gigabytes.
 *
 *   gzip   member *( member ) *( 0 )      deflate   ( zlib stream, or bare ) *( 0 )
 *   zstd   frame *( frame )               br        stream *( 0 )
 *
 * But for zeros, which fill the last block of a tape or of a disk, a body is taken to its last byte or not at all: Node's functions end with the first frame of zstd, and with the
 * first stream of the others, and say nothing of what stands behind it.
 */
import { promisify } from 'node:util'
import {
  brotliDecompress,
  gunzip,
  inflate,
  inflateRaw,
  zstdDecompress,
  type InputType,
  type ZlibOptions,
} from 'node:zlib'
import type { Semaphore } from '../../core/connector/semaphore.ts'

/** Why a body cannot be unpacked. */
export interface UnpackFault {
  readonly kind: 'unknown' | 'malformed' | 'too_large'
  readonly detail: string
}

interface Stream {
  readonly buffer: Buffer
  /** Bytes of the input that were taken. */
  readonly engine: { readonly bytesWritten: number }
}

type Unpack = (body: InputType, options: ZlibOptions) => Promise<Stream>

const unpackers: Readonly<Record<string, Unpack>> = {
  gzip: promisify(gunzip) as unknown as Unpack,
  'x-gzip': promisify(gunzip) as unknown as Unpack,
  br: promisify(brotliDecompress) as unknown as Unpack,
  zstd: promisify(zstdDecompress) as unknown as Unpack,
  // With the frame of zlib as the standard wants it (RFC 9110 §8.4.1.2), or without, as many send it.
  deflate: (body, options) => {
    const first = (body as Buffer)[0] ?? 0
    const isZlib = (first & 0x0f) === 8 && ((first << 8) | ((body as Buffer)[1] ?? 0)) % 31 === 0
    return (promisify(isZlib ? inflate : inflateRaw) as unknown as Unpack)(body, options)
  },
}

/** Each costs a call; who packs each row by itself packs nothing. */
const framesMax = 1000

/** A body unpacked, or why not. `coding`: in lower case. `slots`: bodies that are unpacked at a time. */
export async function unpack(
  body: Buffer,
  coding: string,
  limits: { readonly bytesMax: number; readonly slots: Semaphore },
  signal: AbortSignal,
): Promise<Buffer | UnpackFault> {
  const decompress = Object.hasOwn(unpackers, coding) ? unpackers[coding] : undefined
  if (decompress === undefined) {
    const codings = Object.keys(unpackers).join(', ')
    const detail = `the content encoding is none of ${codings}; several in a row are not taken`
    return { kind: 'unknown', detail }
  }
  const { bytesMax, slots } = limits
  await slots.acquire(signal)
  try {
    return await frames(body, coding === 'zstd' ? framesMax : 1, { decompress, bytesMax, signal })
  } catch (error) {
    signal.throwIfAborted()
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      return { kind: 'too_large', detail: `a body may have ${bytesMax} bytes unpacked` }
    }
    return { kind: 'malformed', detail: `the body is not ${coding}` }
  } finally {
    slots.release()
  }
}

/** Throws as Node does where a frame is none, is cut off, or is too large. */
async function frames(
  body: Buffer,
  countMax: number,
  how: { readonly decompress: Unpack; readonly bytesMax: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  const found: Buffer[] = []
  let bytes = 0
  let at = 0
  for (let count = 0; count < countMax; count++) {
    how.signal.throwIfAborted()
    // One byte more than may come is enough to see that too many do.
    const maxOutputLength = Math.max(1, how.bytesMax - bytes)
    const { buffer, engine } = await how.decompress(at === 0 ? body : body.subarray(at), {
      maxOutputLength,
      info: true,
    })
    found.push(buffer)
    bytes += buffer.length
    if (bytes > how.bytesMax) throw tooLarge()
    at += engine.bytesWritten
    if (at === body.length) return found.length === 1 ? buffer : Buffer.concat(found, bytes)
    if (engine.bytesWritten === 0) break
  }
  // As gzip does.
  if (found.length === 1 && body.subarray(at).every((byte) => byte === 0)) return found[0]!
  throw new Error('something stands behind the end')
}

function tooLarge(): NodeJS.ErrnoException {
  return Object.assign(new Error('too large'), { code: 'ERR_BUFFER_TOO_LARGE' })
}
