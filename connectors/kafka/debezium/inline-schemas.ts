/**
 * Schemas that stand beside each value in JSON (`schemas.enable`). Every record repeats its schema, which
 * is ten times as long as the row: what has the same bytes up to its payload as the record before is not
 * read again.
 *
 *   {"schema": …, "payload": …}
 */
import { JsonMembers } from '../../../core/connector/format/json-ranges.ts'
import { openBrace, skipBlanks } from '../../../core/connector/format/json-scan.ts'
import { connectOfJson, type ConnectType } from './connect-type.ts'

/** Schemas of one topic that are kept; one that changes with every record would fill memory. */
const schemasMax = 200

export class InlineSchemas<T> {
  readonly #make: (schema: ConnectType) => T
  readonly #made = new Map<string, T>()
  readonly #members = new JsonMembers(['schema', 'payload'])
  /** What stood before the payload last, and what it is. */
  #prefix: Buffer = Buffer.alloc(0)
  #ofPrefix: T | null = null
  /** The payload of the document that was opened last; the document itself where it has no schema. */
  start = 0
  end = 0
  isPresent = false
  /** Whether any document had a schema. */
  hasMet = false

  constructor(make: (schema: ConnectType) => T) {
    this.#make = make
  }

  /**
   * Finds payload and schema of a document; null: it has no schema beside it (`isPresent` false), or one
   * that is none (`isPresent` true). What is no JSON is left to whoever reads the payload.
   */
  open(bytes: Uint8Array, start: number, end: number): T | null {
    const prefix = this.#prefix
    const payloadAt = start + prefix.length
    if (
      prefix.length > 0 &&
      payloadAt < end &&
      bytes[end - 1] === 0x7d &&
      prefix.compare(bytes, start, payloadAt) === 0
    ) {
      this.start = payloadAt
      this.end = end - 1
      this.isPresent = true
      return this.#ofPrefix
    }
    this.start = start
    this.end = end
    this.isPresent = false
    return this.#read(bytes, start, end)
  }

  #read(bytes: Uint8Array, start: number, end: number): T | null {
    const at = skipBlanks(bytes, start, end)
    // Rows may have columns of these names, and no schema begins so.
    if (at >= end || bytes[at] !== openBrace || !beginsSo(bytes, at + 1, end)) return null
    const members = this.#members
    if (members.find(bytes, start, end) !== null) return null
    const [schemaAt, schemaEnd] = [members.starts[0]!, members.ends[0]!]
    if (schemaAt < 0 || members.starts[1]! < 0) return null
    this.start = members.starts[1]!
    this.end = members.ends[1]!
    this.isPresent = true
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + schemaAt, schemaEnd - schemaAt)
    const found = this.#schemaOf(text.toString('latin1'), text)
    // Only what ends with the payload can be told from its beginning.
    const isPlain = this.end === end - 1 && schemaEnd < this.start
    this.#prefix = isPlain && found !== null ? Buffer.from(bytes.subarray(start, this.start)) : none
    this.#ofPrefix = found
    return found
  }

  #schemaOf(text: string, bytes: Buffer): T | null {
    const known = this.#made.get(text)
    if (known !== undefined) return known
    const type = connectOfJson(JSON.parse(bytes.toString('utf8')) as unknown)
    if (type === null) return null
    const made = this.#make(type)
    this.hasMet = true
    if (this.#made.size >= schemasMax) this.#made.clear()
    this.#made.set(text, made)
    return made
  }
}

const none: Buffer = Buffer.alloc(0)
const opening = Buffer.from('"schema"')

function beginsSo(bytes: Uint8Array, at: number, end: number): boolean {
  const from = skipBlanks(bytes, at, end)
  if (end - from < opening.length) return false
  return opening.every((byte, i) => bytes[from + i] === byte)
}
