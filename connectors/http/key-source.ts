/**
 * Where idempotency keys come from: `idempotency.from`.
 *
 *   from = 'header.' name | 'query.' name | 'signature'        one key for the whole request
 *        | 'field.' name | 'ce.id'                             one for each record
 *
 * Of `signature` the key is what was signed, not the header: one signature can be written in several ways, and one
 * of several left out, and a replay would pass for new.
 *
 * `ce.id` is the id of a CloudEvent together with its source, which alone are unique
 * (CloudEvents 1.0.2, §id). Keys of different kinds cannot meet: a topic has one kind.
 */
import { JsonMembers } from '../../core/connector/format/json-ranges.ts'
import type { Delivery } from './delivery.ts'
import type { Refusal } from './push-body.ts'
import type { Attributes } from './push-columns.ts'

export type KeyFrom =
  | { readonly from: 'header' | 'query' | 'field'; readonly name: string }
  | { readonly from: 'signature'; readonly name: null }
  | { readonly from: 'ce'; readonly name: null }

/** What `idempotency.from` may say; null for anything else. */
export function parseKeyFrom(text: string): KeyFrom | null {
  if (text === 'signature') return { from: 'signature', name: null }
  if (text === 'ce.id') return { from: 'ce', name: null }
  const [, from, name] = /^(header|query|field)\.(.+)$/.exec(text) ?? []
  if (from === undefined || name === undefined) return null
  if (from === 'header') {
    return /^[\w-]+$/.test(name) ? { from: 'header', name: name.toLowerCase() } : null
  }
  return { from: from as 'query', name }
}

export class KeySource {
  readonly #from: KeyFrom
  readonly #members: JsonMembers

  constructor(from: KeyFrom) {
    this.#from = from
    this.#members = new JsonMembers(from.from === 'field' ? [from.name] : [])
  }

  /** The key of the whole request, why there is none, or null where each record has its own. */
  ofRequest({ parts }: Delivery): string | Refusal | null {
    const from = this.#from
    if (from.from === 'field' || from.from === 'ce') return null
    if (from.from === 'signature') return parts.signed ?? this.missing(null)
    const value =
      from.from === 'header' ? parts.request.headers[from.name] : parts.query.get(from.name)
    return typeof value === 'string' && value !== '' ? value : this.missing(null)
  }

  /** The key of the record at bytes[start, end); null = it has none. */
  ofRecord(
    bytes: Uint8Array,
    start: number,
    end: number,
    attributes: Attributes | null,
  ): string | null {
    if (this.#from.from === 'ce') {
      return attributes === null ? null : `${attributes('source')}\n${attributes('id')}`
    }
    if (start < 0 || this.#members.find(bytes, start, end) !== null) return null
    if (!this.#members.has(0, bytes)) return null
    const [from, to] = [this.#members.starts[0]!, this.#members.ends[0]!]
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8')
    // A text and a number that read the same are the same key.
    return text.startsWith('"') ? (JSON.parse(text) as string) : text
  }

  /** `index`: of the record; null = of the whole request. */
  missing(index: number | null): Refusal {
    const from = this.#from
    const what =
      from.name !== null
        ? `${from.from} ${from.name}`
        : from.from === 'ce'
          ? 'id of a CloudEvent'
          : 'signature'
    const where = index === null ? '' : `row ${index}: `
    return {
      status: index === null ? 400 : 422,
      code: 'http.no_key',
      detail: `${where}the idempotency key is missing: ${what}`,
      ...(index === null ? {} : { more: { errors: [{ index, code: 'http.no_key' }] } }),
    }
  }
}
