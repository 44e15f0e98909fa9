/**
 * Tuples → builders: the innermost loop of the stream. One writer binds a relation's columns to the
 * decoders of the topic its rows go to. Hot: no allocation, no closure, no async.
 *
 *   TupleData = Int16 columns, { column }
 *   column    = 'n'                        null; in an old key (K): not part of the key
 *             | 'u'                        unchanged TOASTed value, not sent
 *             | 't' Int32 length, bytes    the value as its type's output function prints it
 *             | 'b' Int32 length, bytes    as its send function does; never asked for
 *
 * PostgreSQL documentation, protocol-logicalrep-message-formats, TupleData.
 */
import { int16At, int32At, protocolError } from './pgoutput.ts'
import type { RelationPlan } from './relations.ts'
import type { TopicRows } from '../../core/connector/topic-rows.ts'
import type { ValueDecoder } from './value-decoder.ts'

const kindNull = 0x6e
const kindText = 0x74
const kindUnchanged = 0x75

export class TableWriter {
  readonly plan: RelationPlan
  readonly rows: TopicRows<ValueDecoder>
  readonly #decoders: readonly ValueDecoder[]
  readonly #fields: Int32Array
  /** Where the values of the last old tuple are; −1 = null, −2 = not sent. */
  readonly #oldStarts: Int32Array
  readonly #oldEnds: Int32Array
  readonly #inOldKey: Uint8Array

  constructor(plan: RelationPlan, rows: TopicRows<ValueDecoder>) {
    this.plan = plan
    this.rows = rows
    this.#fields = plan.fields
    this.#decoders = Array.from(plan.fields, (field) => rows.decoders[field]!)
    this.#oldStarts = new Int32Array(plan.fields.length)
    this.#oldEnds = new Int32Array(plan.fields.length)
    this.#inOldKey = Uint8Array.from(plan.inKey, (inKey) => (inKey || plan.full ? 1 : 0))
  }

  /** Appends an insert's or update's new values; returns the place after the tuple, which `end` bounds. */
  newTuple(source: Uint8Array, start: number, end: number, withOld: boolean): number {
    const decoders = this.#decoders
    if (start + 2 > end || int16At(source, start) !== decoders.length) throw badTuple(source[start])
    let at = start + 2
    for (let i = 0; i < decoders.length; i++) {
      if (at >= end) throw badTuple(source[at])
      const kind = source[at++]
      if (kind === kindText) {
        const from = at + 4
        at = from + int32At(source, at)
        if (at > end || at < from) throw badTuple(kind)
        decoders[i]!.append(source, from, at)
      } else if (kind === kindNull) {
        decoders[i]!.appendNull()
        this.rows.markNull(this.#fields[i]!)
      } else if (kind === kindUnchanged) this.#unchanged(source, i, withOld)
      else throw badTuple(kind)
    }
    return at
  }

  /** Appends an old key or an old row, and remembers where its values are for the new tuple. */
  oldTuple(source: Uint8Array, start: number, end: number): number {
    const decoders = this.#decoders
    if (start + 2 > end || int16At(source, start) !== decoders.length) throw badTuple(source[start])
    let at = start + 2
    for (let i = 0; i < decoders.length; i++) {
      if (at >= end) throw badTuple(source[at])
      const kind = source[at++]
      if (kind === kindText) {
        const from = at + 4
        at = from + int32At(source, at)
        if (at > end || at < from) throw badTuple(kind)
        decoders[i]!.append(source, from, at)
        this.#oldStarts[i] = from
        this.#oldEnds[i] = at
      } else if (kind === kindNull) {
        decoders[i]!.appendNull()
        this.#oldStarts[i] = this.#inOldKey[i] === 1 ? -1 : -2
      } else throw badTuple(kind)
    }
    return at
  }

  /** Where the old tuple has the value (FULL, or a TOASTed key), the new row has the same one. */
  #unchanged(source: Uint8Array, column: number, withOld: boolean): void {
    const decoder = this.#decoders[column]!
    const from = withOld ? this.#oldStarts[column]! : -2
    if (from >= 0) return decoder.append(source, from, this.#oldEnds[column]!)
    decoder.appendNull()
    if (from === -2) this.rows.markUnchanged(this.#fields[column]!)
    else this.rows.markNull(this.#fields[column]!)
  }

  /**
   * The texts of the key fields in a tuple, in key order, for a RowFilter. `unsent`: the old key, which
   * comes with an update whose new key has large values that did not change; '' where nothing was sent.
   * Only used while a filter is in force.
   */
  keyTexts(source: Uint8Array, start: number, end: number, unsent: readonly string[]): string[] {
    const places = Array.from(this.plan.topic.schema.key, (field) => this.#fields.indexOf(field))
    const texts = places.map((_, i) => unsent[i] ?? '')
    let at = start + 2
    for (let i = 0; i < this.#fields.length && at < end; i++) {
      if (source[at++] !== kindText) continue
      const from = at + 4
      at = from + int32At(source, at)
      if (at > end || at < from) throw badTuple(kindText)
      const place = places.indexOf(i)
      if (place >= 0) texts[place] = utf8.decode(source.subarray(from, at))
    }
    return texts
  }

  /** Whether a value of the tuple was not sent because it did not change. */
  static hasUnchanged(source: Uint8Array, start: number, end: number): boolean {
    let at = start + 2
    for (let left = int16At(source, start); left > 0 && at < end; left--) {
      const kind = source[at++]
      if (kind === kindUnchanged) return true
      if (kind === kindText) at += 4 + int32At(source, at)
      if (at < start) throw badTuple(kindText)
    }
    return false
  }

  /** The place after a tuple that is not to be read. */
  static skip(source: Uint8Array, start: number, end: number): number {
    let at = start + 2
    for (let left = int16At(source, start); left > 0; left--) {
      if (source[at++] !== kindText) continue
      at += 4 + int32At(source, at)
      if (at > end || at < start) throw badTuple(kindText)
    }
    return at
  }
}

const utf8 = new TextDecoder()

function badTuple(kind: number | undefined): Error {
  return protocolError('has a tuple that its relation does not allow', kind ?? 0, 0)
}
