/**
 * The rows of a batch that a view takes: those it cannot hold are refused, old images of updates are left
 * out, and every other has its entity key, its event time, and whether it is a deletion. Hot.
 */
import { Op, type Batch } from '../../core/record/batch.ts'
import type { Code } from '../../core/errors/codes.ts'
import type { SinkBatch } from '../../core/connector/sink.ts'
import { BytesOut } from './bytes-out.ts'
import { entityKeyPrefix, writeEntityValue } from './layout/entity-key.ts'
import { microsAt, secondsAt } from './layout/seconds.ts'
import { markNulls, screenColumn, screenEventTimes } from './screen.ts'
import type { TargetProblem } from './target.ts'
import { feastTypeName } from './types.ts'
import type { FeatureView } from './view.ts'

export interface Accepted {
  readonly view: FeatureView
  readonly sent: SinkBatch
  readonly refused: readonly TargetProblem[]
  /** Rows of the batch, ascending. All that follow are by index in here. */
  readonly rows: Int32Array
  /** 1: the row goes. */
  readonly deleted: Uint8Array
  /** Event time; of a deletion the time of its commit. */
  readonly seconds: Float64Array
  readonly nanos: Int32Array
  /** Entity keys, by row of the batch: key of row i is bytes[offsets[i], offsets[i + 1]). */
  readonly keys: KeyBytes
}

export interface KeyBytes {
  readonly bytes: Uint8Array
  readonly offsets: Int32Array
}

export function acceptRows(view: FeatureView, sent: SinkBatch): Accepted {
  const { batch } = sent
  const screened = screenRows(view, batch)
  const keys = entityKeys(view, batch, screened.keyless)
  const rows = new Int32Array(batch.rows)
  let count = 0
  for (let row = 0; row < batch.rows; row++) {
    if (screened.bad[row] === 1) continue
    if (batch.weights[row]! > 0 || goes(view, batch, keys, row)) rows[count++] = row
  }
  return {
    view,
    sent,
    refused: screened.refused,
    keys,
    ...timed(view, batch, rows.slice(0, count)),
  }
}

interface Screened {
  /** 1 where the row is refused. */
  readonly bad: Uint8Array
  /** 1 where it is for its entity. */
  readonly keyless: Uint8Array
  readonly refused: readonly TargetProblem[]
}

/** One look for something that does not fit. */
interface Look {
  readonly code: Code
  readonly what: string
  /** Whether it matters of a row that goes too. */
  readonly ofDeletions: boolean
  readonly mark: (marks: Uint8Array) => void
}

function screenRows(view: FeatureView, batch: Batch): Screened {
  const bad = new Uint8Array(batch.rows)
  const refused: TargetProblem[] = []
  const run = ({ code, what, ofDeletions, mark }: Look): void => {
    const marks = new Uint8Array(batch.rows)
    mark(marks)
    if (!marks.includes(1)) return
    for (let row = 0; row < marks.length; row++) {
      if (marks[row] === 0 || bad[row] === 1) continue
      if (!ofDeletions && batch.weights[row]! < 0) continue
      bad[row] = 1
      refused.push({ row, code, message: `View ${view.name}: ${what}.` })
    }
  }
  for (const look of entityLooks(view, batch)) run(look)
  const keyless = bad.slice()
  for (const look of otherLooks(view, batch)) run(look)
  return { bad, keyless, refused: refused.sort((a, b) => a.row - b.row) }
}

function entityLooks({ entities }: FeatureView, { columns }: Batch): Look[] {
  return entities.map(({ name, index, logical, type }) => ({
    code: 'sink.feast.entity',
    what: `entity ${JSON.stringify(name)} is null or no ${type}`,
    ofDeletions: true,
    mark: (marks) => {
      markNulls(columns[index]!, marks)
      screenColumn(columns[index]!, logical, { kind: 'scalar', name: type }, marks)
    },
  }))
}

function otherLooks({ eventTime, features }: FeatureView, { columns }: Batch): Look[] {
  const looks: Look[] = features.map(({ name, index, logical, type }) => ({
    code: 'sink.feast.value',
    what: `the value of ${JSON.stringify(name)} does not fit ${feastTypeName(type)}`,
    ofDeletions: false,
    mark: (marks) => screenColumn(columns[index]!, logical, type, marks),
  }))
  if (eventTime === null) return looks
  const { name, index, logical } = eventTime
  const look: Look = {
    code: 'sink.feast.event_time',
    what: `event time ${JSON.stringify(name)} is null, infinite, or not in the years 1 to 9999`,
    ofDeletions: false,
    mark: (marks) => screenEventTimes(columns[index]!, logical, marks),
  }
  return [look, ...looks]
}

function entityKeys(
  { entities }: FeatureView,
  { rows, columns }: Batch,
  keyless: Uint8Array,
): KeyBytes {
  const prefix = entityKeyPrefix(entities.map(({ name }) => name))
  const out = new BytesOut(rows * (prefix.length + entities.length * 20) + 64)
  const offsets = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row++) {
    if (keyless[row] === 0) {
      out.ensure(prefix.length)
      out.copy(prefix, 0, prefix.length)
      for (let i = 0; i < entities.length; i++) {
        const entity = entities[i]!
        writeEntityValue(out, entity, columns[entity.index]!, row)
      }
    }
    offsets[row + 1] = out.end
  }
  return { bytes: out.bytes, offsets }
}

/**
 * Whether a −1 row takes its entity's features away. The old image of an update whose new image, of the
 * same entity, comes next does not: also where the new one is refused, what is there stays.
 */
function goes(
  { onDelete }: FeatureView,
  batch: Batch,
  { bytes, offsets }: KeyBytes,
  row: number,
): boolean {
  if (onDelete === 'keep') return false
  const next = row + 1
  if (batch.ops[row] !== Op.update || next >= batch.rows || batch.weights[next]! < 0) return true
  const length = offsets[row + 1]! - offsets[row]!
  if (length !== offsets[next + 1]! - offsets[next]!) return true
  for (let i = 0; i < length; i++) {
    if (bytes[offsets[row]! + i] !== bytes[offsets[next]! + i]) return true
  }
  return false
}

function timed({ eventTime }: FeatureView, batch: Batch, rows: Int32Array) {
  const deleted = new Uint8Array(rows.length)
  const seconds = new Float64Array(rows.length)
  const nanos = new Int32Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    deleted[i] = batch.weights[row]! < 0 ? 1 : 0
    if (eventTime === null || deleted[i] === 1) {
      const us = batch.timesUs[row]!
      const rest = ((us % 1e6) + 1e6) % 1e6
      seconds[i] = (us - rest) / 1e6
      nanos[i] = rest * 1000
    } else {
      const column = batch.columns[eventTime.index]!
      seconds[i] = secondsAt(eventTime.logical, column, row)
      nanos[i] = microsAt(eventTime.logical, column, row) * 1000
    }
  }
  return { rows, deleted, seconds, nanos }
}
