/**
 * Bytes of a connection → payloads of packets. A payload that lies in one chunk whole is handed out
 * where it is; one that straddles chunks, or was sent in several packets because it has 16 MiB or
 * more, is gathered in a buffer of its own first. Hot.
 *
 *   packet     = Int24 length, Int8 sequence, body       little-endian
 *   payload    = { packet of length 0xffffff }, packet of less
 *   compressed = { frame };  frame = Int24 length, Int8 sequence, Int24 length before compression, body
 *   body of a frame = bytes of packets, cut anywhere: deflated (zlib), or as they are where the length
 *                     before compression is 0
 *
 * MySQL source documentation, "MySQL Packets" and "Compressed Packet" (9.7); MariaDB Knowledge Base,
 * "0-Packet".
 */
import { inflateSync } from 'node:zlib'
import { SluiceError } from '../../../core/errors/error.ts'
import type { ServerError } from '../errors.ts'

const headerBytes = 4
const frameHeaderBytes = 7
const fullPacketBytes = 0xff_ffff
/** max_allowed_packet is at most 1 GiB, an event a little more; anything larger is no payload. */
const payloadBytesMax = 0x7fff_fff0
/** A buffer that grew beyond this for one payload is not kept. */
const keptBytesMax = 4 << 20
const firstBufferBytes = 1 << 12

/** What payloads are for. `source` is only valid during the call. */
export interface PacketHandler {
  packet(source: Uint8Array, start: number, end: number): void
  /** Whether to stop for now: `run` returns with the rest unread. */
  readonly waiting: boolean
}

/** Reads the answer to one command. */
export interface Packets {
  /** Takes the next bytes; `run` must have returned true before. They must not change until it does again. */
  give(chunk: Uint8Array): void
  /** Reads payloads until the bytes are used up (true) or the handler waits (false). */
  run(): boolean
}

export function packetReader(handler: PacketHandler, compressed: boolean): Packets {
  return compressed ? new CompressedReader(handler) : new PacketReader(handler, true)
}

export class PacketReader implements Packets {
  readonly #handler: PacketHandler
  readonly #checked: boolean
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  /** The client's command was number 0. */
  #sequence = 1
  /** A payload that began in an earlier chunk or packet: its first `#heldBytes` bytes. */
  #held: Uint8Array = new Uint8Array(firstBufferBytes)
  #heldBytes = 0
  #holding = false
  /** Of the packet being held: header bytes seen, and body bytes to come. */
  #headerBytes = 0
  #length = 0
  #missing = 0

  /** `checked`: sequence numbers count up, as they do on connections that are not compressed. */
  constructor(handler: PacketHandler, checked: boolean) {
    this.#handler = handler
    this.#checked = checked
  }

  give(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#at = 0
  }

  run(): boolean {
    const handler = this.#handler
    while (!handler.waiting) {
      if (this.#holding) {
        if (!this.#fillHeld()) return true
        this.#handOutHeld()
        continue
      }
      const chunk = this.#chunk
      const at = this.#at
      const left = chunk.length - at
      if (left === 0) return true
      const length = left < headerBytes ? fullPacketBytes : int24At(chunk, at)
      if (length === fullPacketBytes || length > left - headerBytes) {
        this.#holding = true
        continue
      }
      this.#checkSequence(chunk[at + 3]!)
      const start = at + headerBytes
      this.#at = start + length
      handler.packet(chunk, start, start + length)
    }
    return false
  }

  /** Moves bytes to the held payload until it is whole (true) or the chunk is used up. */
  #fillHeld(): boolean {
    const chunk = this.#chunk
    for (;;) {
      while (this.#headerBytes < headerBytes) {
        if (this.#at === chunk.length) return false
        this.#headerByte(chunk[this.#at++]!)
      }
      const bytes = Math.min(this.#missing, chunk.length - this.#at)
      this.#hold(bytes)
      this.#missing -= bytes
      if (this.#missing > 0) return false
      this.#headerBytes = 0
      if (this.#length < fullPacketBytes) return true
    }
  }

  #headerByte(byte: number): void {
    const place = this.#headerBytes++
    if (place === 0) this.#length = byte
    else if (place < 3) this.#length |= byte << (8 * place)
    else {
      this.#checkSequence(byte)
      this.#missing = this.#length
    }
  }

  #hold(bytes: number): void {
    const end = this.#heldBytes + bytes
    if (end > this.#held.length) {
      if (end > payloadBytesMax) throw packetError('a packet of no possible length')
      // Grows with what arrives, not with what the length promises.
      const grown = new Uint8Array(Math.max(end, Math.min(this.#held.length * 2, payloadBytesMax)))
      grown.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = grown
    }
    this.#held.set(this.#chunk.subarray(this.#at, this.#at + bytes), this.#heldBytes)
    this.#heldBytes = end
    this.#at += bytes
  }

  #handOutHeld(): void {
    const held = this.#held
    const end = this.#heldBytes
    this.#holding = false
    this.#heldBytes = 0
    this.#handler.packet(held, 0, end)
    if (held.length > keptBytesMax) this.#held = new Uint8Array(firstBufferBytes)
  }

  /** A gap means that bytes of the stream are missing or were read as what they are not. */
  #checkSequence(found: number): void {
    if (this.#checked && found !== this.#sequence) throw packetError('packets out of order')
    this.#sequence = (found + 1) & 0xff
  }
}

/** Frames that hold the packets. Their numbers do not follow one rule on both flavours, unlike zlib's own checksum. */
export class CompressedReader implements Packets {
  readonly #inner: PacketReader
  readonly #handler: PacketHandler
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  /** A frame that began in an earlier chunk. */
  #held: Uint8Array = new Uint8Array(firstBufferBytes)
  #heldBytes = 0

  constructor(handler: PacketHandler) {
    this.#handler = handler
    this.#inner = new PacketReader(handler, false)
  }

  give(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#at = 0
  }

  run(): boolean {
    while (this.#inner.run()) {
      const chunk = this.#chunk
      const left = chunk.length - this.#at
      if (this.#heldBytes > 0) {
        if (!this.#fillHeld()) return true
        const end = this.#heldBytes
        this.#heldBytes = 0
        this.#inner.give(unpacked(this.#held, 0, end, true))
        if (this.#held.length > keptBytesMax) this.#held = new Uint8Array(firstBufferBytes)
        continue
      }
      if (left === 0) return !this.#handler.waiting
      const end = left < frameHeaderBytes ? Infinity : this.#at + frameBytes(chunk, this.#at)
      if (end > chunk.length) {
        this.#hold(left)
        continue
      }
      const start = this.#at
      this.#at = end
      this.#inner.give(unpacked(chunk, start, end, false))
    }
    return false
  }

  #fillHeld(): boolean {
    const chunk = this.#chunk
    if (this.#heldBytes < frameHeaderBytes) {
      this.#hold(Math.min(frameHeaderBytes - this.#heldBytes, chunk.length - this.#at))
      if (this.#heldBytes < frameHeaderBytes) return false
    }
    const wanted = frameBytes(this.#held, 0) - this.#heldBytes
    this.#hold(Math.min(wanted, chunk.length - this.#at))
    return this.#heldBytes === frameBytes(this.#held, 0)
  }

  #hold(bytes: number): void {
    const end = this.#heldBytes + bytes
    if (end > this.#held.length) {
      const grown = new Uint8Array(Math.max(end, this.#held.length * 2))
      grown.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = grown
    }
    this.#held.set(this.#chunk.subarray(this.#at, this.#at + bytes), this.#heldBytes)
    this.#heldBytes = end
    this.#at += bytes
  }
}

function frameBytes(source: Uint8Array, at: number): number {
  return int24At(source, at) + frameHeaderBytes
}

/** The bytes in a frame. `reused`: the frame's buffer is written again before they are read. */
function unpacked(source: Uint8Array, start: number, end: number, reused: boolean): Uint8Array {
  const length = int24At(source, start + 4)
  const body = source.subarray(start + frameHeaderBytes, end)
  if (length === 0) return reused ? body.slice() : body
  let bytes: Uint8Array
  try {
    bytes = inflateSync(body, { maxOutputLength: length })
  } catch (cause) {
    throw packetError('a compressed packet that cannot be read', cause)
  }
  if (bytes.length !== length) throw packetError('a compressed packet of another length')
  return bytes
}

export function int24At(source: Uint8Array, at: number): number {
  return source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16)
}

export const errorMarker = 0xff
const sqlStateMarker = 0x23

/**
 * ERR = Int8 0xff, Int16 number, [ '#' Byte5 SQLSTATE ] text      ("ERR_Packet")
 */
export function errorPacket(source: Uint8Array, start: number, end: number): ServerError {
  const number = end - start < 3 ? 0 : source[start + 1]! | (source[start + 2]! << 8)
  const at = source[start + 3] === sqlStateMarker ? start + 9 : start + 3
  const text = Buffer.from(source.subarray(Math.min(at, end), end)).toString('utf8')
  return Object.assign(new Error(text), { errno: number })
}

/** A command as the first packet of an exchange; the caller adds the frame where compressed. */
export function commandPacket(payload: Uint8Array, compressed: boolean): Uint8Array {
  if (payload.length >= fullPacketBytes - headerBytes) {
    throw new SluiceError('internal.bug', { message: 'A command is too long for one packet.' })
  }
  const extra = compressed ? frameHeaderBytes : 0
  const bytes = new Uint8Array(extra + headerBytes + payload.length)
  if (compressed) setInt24(bytes, 0, headerBytes + payload.length)
  setInt24(bytes, extra, payload.length)
  bytes.set(payload, extra + headerBytes)
  return bytes
}

function setInt24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
}

function packetError(what: string, cause?: unknown): SluiceError {
  return new SluiceError('source.mysql.protocol', {
    message: `The server sent ${what}.`,
    ...(cause === undefined ? {} : { cause }),
  })
}
