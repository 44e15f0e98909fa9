/**
 * `columns` of a topic that is polled: columns beside those of the record, by what they hold.
 *
 *   what = 'received' | 'header.' name | 'event' | 'event_id'
 *
 * `received` is the time of the record; the others are texts, NULL where the answer does not have it.
 */
import { lettersText, parseLettersText } from './letter-columns.ts'
import type { ExtraColumn } from '../../core/connector/format/format.ts'
import { NumberBuilder } from '../../core/record/builder.ts'
import { BytesBuilder } from '../../core/record/bytes-builder.ts'
import type { DecodedRecords, Extras } from './gathering.ts'

interface PollColumn {
  readonly from: 'received' | 'header' | 'event' | 'event_id'
  /** Of a header. */
  readonly name: string
}

/** What `columns` may say; null for anything else. */
export function parsePollColumn(text: string): PollColumn | null {
  if (text === 'received' || text === 'event' || text === 'event_id')
    return { from: text, name: '' }
  const [, name] = /^header\.([\w-]+)$/.exec(text) ?? []
  return name === undefined ? null : { from: 'header', name: name.toLowerCase() }
}

/** What columns may want of an answer. */
export interface AnswerParts {
  readonly headers: Readonly<Record<string, string>>
  readonly event: string | null
  readonly eventId: string | null
}

export class PollColumns {
  readonly extra: readonly ExtraColumn[]
  readonly #names: readonly string[]
  readonly #wanted: readonly { readonly name: string; readonly column: PollColumn }[]
  /** The records being decoded, for the columns' `append`. */
  current: DecodedRecords | null = null

  constructor(columns: Readonly<Record<string, string>>) {
    this.#names = Object.keys(columns)
    this.#wanted = Object.entries(columns).map(([name, what]) => ({
      name,
      column: parsePollColumn(what)!,
    }))
    this.extra = this.#wanted.map(({ name, column }, at) => {
      const isTime = column.from === 'received'
      return {
        field: { name, type: { kind: isTime ? 'timestamptz' : 'text' }, nullable: !isTime },
        append: (builder, records, index) => {
          if (isTime) return (builder as NumberBuilder).append(records.timesUs[index]!)
          const value = this.current?.extras[index]?.[at] ?? null
          if (value === null) builder.appendNull()
          else (builder as BytesBuilder).appendString(value)
        },
      }
    })
  }

  get isEmpty(): boolean {
    return this.#wanted.length === 0
  }

  of({ headers, event, eventId }: AnswerParts): Extras {
    return this.#wanted.map(({ column: { from, name } }) => {
      if (from === 'header') return headers[name] ?? null
      if (from === 'event') return event
      return from === 'event_id' ? eventId : null
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
