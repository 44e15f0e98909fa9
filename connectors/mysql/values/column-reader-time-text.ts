/**
 * Dates, datetimes and timestamps as the exact text that the server prints under time_zone '+00:00',
 * for `zero_dates: text`: 0000-00-00 and 2020-02-31 are texts like any other. Row images and result
 * sets as in column-reader-time.ts.
 */
import { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import {
  datetimeBytes,
  parseDate,
  parseDatetime,
  readDate,
  readDatetime,
  timestampBytes,
  timestampUs,
  type TimeFormat,
} from './column-reader-time.ts'
import type { ColumnReader } from '../types.ts'
import { Moment } from './values-time.ts'
import { badImage, badText } from './values.ts'

/** Bytes of 'YYYY-MM-DD hh:mm:ss.ffffff'. */
const textBytesMax = 26

export class TemporalTextReader implements ColumnReader {
  readonly builder = new BytesBuilder()
  readonly #kind: 'date' | 'datetime' | 'timestamp'
  readonly #format: TimeFormat
  readonly #bytes: number
  readonly #moment = new Moment()

  constructor(kind: 'date' | 'datetime' | 'timestamp', format: TimeFormat) {
    this.#kind = kind
    this.#format = format
    this.#bytes =
      kind === 'date' ? 3 : kind === 'datetime' ? datetimeBytes(format) : timestampBytes(format)
  }

  binlog(source: Uint8Array, at: number, end: number): number {
    const next = at + this.#bytes
    if (next > end) throw badImage(this.#kind)
    const moment = this.#moment
    if (this.#kind === 'date') readDate(source, at, moment)
    else if (this.#kind === 'datetime') readDatetime(source, at, this.#format, moment)
    else {
      const us = timestampUs(source, at, this.#format)
      if (Number.isNaN(us)) moment.clear()
      else moment.setInstant(us)
    }
    const start = this.builder.reserve(textBytesMax)
    const into = this.builder.bytes
    const to =
      this.#kind === 'date'
        ? moment.writeDate(into, start)
        : moment.writeDatetime(into, start, this.#format.fraction)
    this.builder.commit(to - start)
    return next
  }

  skip(_source: Uint8Array, at: number, end: number): number {
    if (at + this.#bytes > end) throw badImage(this.#kind)
    return at + this.#bytes
  }

  text(source: Uint8Array, start: number, end: number): void {
    const { fraction } = this.#format
    const length = this.#kind === 'date' ? 10 : fraction === 0 ? 19 : 20 + fraction
    const readable =
      this.#kind === 'date'
        ? parseDate(source, start, this.#moment)
        : parseDatetime(source, start, end, this.#moment)
    if (!readable || end - start !== length) throw badText(this.#kind)
    this.builder.append(source, start, end)
  }

  appendNull(): void {
    this.builder.appendNull()
  }
}
