/**
 * Rejected records as they lie among the dead letters (rawSchema of format/rejects.ts) → Records, to be
 * decoded once more. Few rows, and no hot path.
 */
import { rawSchema } from '../../core/connector/format/rejects.ts'
import type { Records } from '../../core/connector/format/records.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Batch } from '../../core/record/batch.ts'
import { isNull, type Column } from '../../core/record/column.ts'
import { bytesAt, numberAt } from '../../core/record/value.ts'

interface Raw {
  readonly partition: Column
  readonly offset: Column
  readonly time: Column
  readonly key: Column
  readonly value: Column
  readonly headers: Column
}

/** In their order; each holds rows of one partition. */
export function recordsOf(batch: Batch): readonly Records[] {
  const raw = columnsOf(batch)
  const all: Records[] = []
  for (let from = 0; from < batch.rows;) {
    const partition = Number(numberAt(raw.partition, from))
    let to = from + 1
    while (to < batch.rows && Number(numberAt(raw.partition, to)) === partition) to++
    all.push(rowsAsRecords(raw, partition, from, to))
    from = to
  }
  return all
}

function columnsOf({ schema, columns }: Batch): Raw {
  const named = new Map(schema.fields.map((field, i) => [field.name, columns[i]!]))
  const get = (name: keyof Raw): Column => {
    const column = named.get(name)
    if (column !== undefined) return column
    const wanted = rawSchema.fields.map((field) => field.name).join(', ')
    throw new SluiceError('internal.bug', { message: `A dead letter has no ${name} (${wanted}).` })
  }
  return {
    partition: get('partition'),
    offset: get('offset'),
    time: get('time'),
    key: get('key'),
    value: get('value'),
    headers: get('headers'),
  }
}

function rowsAsRecords(raw: Raw, partition: number, from: number, to: number): Records {
  const count = to - from
  const pieces: Uint8Array[] = []
  let length = 0
  const ranges = (column: Column): { readonly starts: Int32Array; readonly ends: Int32Array } => {
    const starts = new Int32Array(count).fill(-1)
    const ends = new Int32Array(count).fill(-1)
    for (let i = 0; i < count; i++) {
      if (isNull(column, from + i)) continue
      const bytes = bytesAt(column, from + i)
      starts[i] = length
      ends[i] = length += bytes.length
      pieces.push(bytes)
    }
    return { starts, ends }
  }
  const key = ranges(raw.key)
  const value = ranges(raw.value)
  const headers = ranges(raw.headers)
  const numbers = (column: Column): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => Number(numberAt(column, from + i)))
  return {
    bytes: Buffer.concat(pieces),
    count,
    keyStarts: key.starts,
    keyEnds: key.ends,
    valueStarts: value.starts,
    valueEnds: value.ends,
    headerStarts: headers.starts,
    headerEnds: headers.ends,
    timesUs: numbers(raw.time),
    offsets: numbers(raw.offset),
    partition,
  }
}
