/**
 * What Debezium writes in place of a value that the database did not send, because it did not change
 * (PostgreSQL's TOAST): `unavailable.value.placeholder`, in the form that the column's type allows.
 *
 *   text, json, uuid, …   the text          bytes    its bytes (base64 in JSON)
 *   text[]                [the text]        int[]    its bytes as numbers
 *   hstore                {text: text}, as an object or as JSON in a text
 *   uuid[]                [the name-based UUID of the text]
 *
 * debezium-connector-postgres 3.6, UnchangedToastedPlaceholder. A value that a user wrote just so cannot
 * be told from it, by nobody.
 */
import { createHash } from 'node:crypto'
import type { AvroInput } from '../avro/input.ts'

export const usualPlaceholder = '__debezium_unavailable_value'

export class Placeholder {
  readonly #json: readonly Uint8Array[]
  readonly #avro: readonly Uint8Array[]
  /** 1 = a pattern has it as its second byte: most values are none of them by that alone. */
  readonly #jsonSecond = new Uint8Array(256)
  readonly #avroFirst = new Uint8Array(256)

  constructor(text: string) {
    const bytes = Buffer.from(text)
    const uuid = nameUuid(bytes)
    const json = [
      text,
      bytes.toString('base64'),
      uuid,
      [text],
      [...bytes],
      [uuid],
      { [text]: text },
      JSON.stringify({ [text]: text }),
    ]
    this.#json = json.map((value) => Buffer.from(JSON.stringify(value)))
    const sized = Buffer.concat([long(bytes.length), bytes])
    const uuidText = Buffer.concat([long(uuid.length), Buffer.from(uuid)])
    const hstore = Buffer.from(JSON.stringify({ [text]: text }))
    // Elements are always in a union with null, which the converter puts first.
    const element = long(1)
    const one = long(1)
    const end = long(0)
    this.#avro = [
      sized,
      uuidText,
      Buffer.concat([long(hstore.length), hstore]),
      Buffer.concat([one, element, sized, end]),
      Buffer.concat([one, element, uuidText, end]),
      Buffer.concat([
        long(bytes.length),
        ...[...bytes].map((byte) => Buffer.concat([element, long(byte)])),
        end,
      ]),
      Buffer.concat([one, sized, element, sized, end]),
    ]
    for (const pattern of this.#json) this.#jsonSecond[pattern[1]!] = 1
    for (const pattern of this.#avro) this.#avroFirst[pattern[0]!] = 1
  }

  /** Where the placeholder ends that is all of the value at `at`; 0 = it is none. */
  json(bytes: Uint8Array, at: number, end: number): number {
    if (at + 2 >= end || this.#jsonSecond[bytes[at + 1]!] === 0) return 0
    for (const pattern of this.#json) if (isAt(pattern, bytes, at, end)) return at + pattern.length
    return 0
  }

  /** Where it ends, of a value of texts, bytes, arrays or maps in Avro, behind its union; 0 = it is none. */
  avro({ bytes, at, end }: AvroInput): number {
    if (at >= end || this.#avroFirst[bytes[at]!] === 0) return 0
    for (const pattern of this.#avro) if (isAt(pattern, bytes, at, end)) return at + pattern.length
    return 0
  }
}

function isAt(pattern: Uint8Array, bytes: Uint8Array, at: number, end: number): boolean {
  if (pattern.length > end - at) return false
  for (let i = 0; i < pattern.length; i++) if (pattern[i] !== bytes[at + i]) return false
  return true
}

/** Java's UUID.nameUUIDFromBytes: version 3 without a namespace (RFC 9562 §5.3). */
function nameUuid(bytes: Uint8Array): string {
  const hash = createHash('md5').update(bytes).digest()
  hash[6] = (hash[6]! & 0x0f) | 0x30
  hash[8] = (hash[8]! & 0x3f) | 0x80
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Avro's long, of small numbers. */
function long(value: number): Uint8Array {
  const bytes: number[] = []
  let zigzag = value * 2
  for (; zigzag > 0x7f; zigzag >>>= 7) bytes.push((zigzag & 0x7f) | 0x80)
  return Uint8Array.from([...bytes, zigzag])
}
