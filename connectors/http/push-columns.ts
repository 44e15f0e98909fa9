/**
 * `columns` of a topic that is pushed to: columns beside those of the body, by what they hold.
 *
 *   what = 'path.' name | 'header.' name | 'query.' name | 'ce.' attribute | 'received'
 *        | 'remote_address' | 'idempotency_key'
 *
 * All but `received`, the time of the record, are texts, NULL where the request does not have it.
 */
import { lettersText, parseLettersText } from './letter-columns.ts'
import type { IncomingMessage } from 'node:http'
import type { ExtraColumn } from '../../core/connector/format/format.ts'
import type { RouteCall } from '../../core/connector/http-routes.ts'
import { BytesBuilder } from '../../core/record/bytes-builder.ts'
import { NumberBuilder } from '../../core/record/builder.ts'
import type { Field } from '../../core/record/schema.ts'
import type { DecodedRecords, Extras } from './gathering.ts'

export type ColumnSource =
  | { readonly from: 'path' | 'header' | 'query' | 'ce'; readonly name: string }
  | { readonly from: 'received' | 'remote_address' | 'idempotency_key' }

/** What `columns` may say; null for anything else. */
export function parseColumnSource(text: string): ColumnSource | null {
  if (text === 'received' || text === 'remote_address' || text === 'idempotency_key') {
    return { from: text }
  }
  const [, from, name] = /^(path|header|query|ce)\.(.+)$/.exec(text) ?? []
  if (from === undefined || name === undefined) return null
  const usable = { path: /^\w+$/, header: /^[\w-]+$/, query: /^[^&=#]+$/, ce: /^[a-z0-9]{1,40}$/ }[
    from as 'path'
  ]
  if (!usable.test(name)) return null
  return { from: from as 'path', name: from === 'header' ? name.toLowerCase() : name }
}

/** The parts of a request that columns may want. */
export interface RequestParts {
  readonly request: IncomingMessage
  readonly call: RouteCall
  readonly query: URLSearchParams
}

/** An attribute of a CloudEvent by name; null = it has none, or is no event. */
export type Attributes = (name: string) => string | null

const noAttributes: Attributes = () => null

interface Wanted {
  readonly name: string
  readonly source: ColumnSource
}

export class PushColumns {
  readonly extra: readonly ExtraColumn[]
  readonly #names: readonly string[]
  readonly #wanted: readonly Wanted[]
  /** The records being decoded, for the columns' `append`. */
  current: DecodedRecords | null = null

  constructor(columns: Readonly<Record<string, string>>) {
    this.#names = Object.keys(columns)
    this.#wanted = Object.entries(columns).map(([name, what]) => ({
      name,
      source: parseColumnSource(what)!,
    }))
    this.extra = this.#wanted.map(({ name, source }, at) => ({
      field: fieldOf(name, source),
      append: (builder, records, index) => {
        if (source.from === 'received') {
          return (builder as NumberBuilder).append(records.timesUs[index]!)
        }
        const value = this.current?.extras[index]?.[at] ?? null
        if (value === null) builder.appendNull()
        else (builder as BytesBuilder).appendString(value)
      },
    }))
  }

  get isEmpty(): boolean {
    return this.#wanted.length === 0
  }

  /** Whether records of one request may have other values than each other. */
  get areOfRecord(): boolean {
    return this.#wanted.some(({ source: { from } }) => from === 'ce' || from === 'idempotency_key')
  }

  /** The values for one record. */
  of(parts: RequestParts, key: string | null, attributes: Attributes = noAttributes): Extras {
    return this.#wanted.map(({ source }) => {
      switch (source.from) {
        case 'path':
          return parts.call.parameters[source.name] ?? null
        case 'header': {
          const value = parts.request.headers[source.name]
          return Array.isArray(value) ? value.join(', ') : (value ?? null)
        }
        case 'query':
          return parts.query.get(source.name)
        case 'ce':
          return attributes(source.name)
        case 'received':
          return null
        case 'remote_address':
          return parts.call.remoteAddress
        case 'idempotency_key':
          return key
      }
    })
  }

  /** The values as a dead letter keeps them, by column. */
  textOf(extras: Extras): string {
    return lettersText(this.#names, extras)
  }

  /** What `textOf` wrote; columns that did not exist then are NULL. */
  parse(text: string): Extras {
    return parseLettersText(this.#names, text)
  }
}

function fieldOf(name: string, source: ColumnSource): Field {
  const isTime = source.from === 'received'
  return { name, type: { kind: isTime ? 'timestamptz' : 'text' }, nullable: !isTime }
}
