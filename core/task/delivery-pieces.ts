/**
 * A delivery as the sink is given it: its rows in the target's shape. Rows with a value that the
 * target's columns do not hold are left out as rejected; what is between them goes in pieces, for row i
 * of a SinkBatch has the offset `offset + i`. The same delivery and shape give the same pieces and ids.
 */
import type { RowProblem } from '../connector/sink.ts'
import type { Batch } from '../record/batch.ts'
import { sliceBatch } from '../record/batch-ops.ts'
import { typeName } from '../record/types.ts'
import { shapeBatch, type Misfit } from './schema-shape.ts'
import type { Delivery } from './topic-feed.ts'

export interface Piece {
  readonly id: string
  /** Index in the delivery of its first row. */
  readonly row: number
  readonly batch: Batch
}

export interface Pieces {
  readonly pieces: readonly Piece[]
  readonly rejected: readonly RowProblem[]
}

export function piecesOf(delivery: Delivery & { readonly kind: 'rows' }, id: string): Pieces {
  const { batch, shaping } = delivery
  const shaped = shaping === undefined ? null : shapeBatch(batch, shaping.target)
  if (shaped === null) return { pieces: [{ id, row: 0, batch }], rejected: [] }
  if (shaped.misfits.length === 0) {
    return { pieces: [{ id, row: 0, batch: shaped.batch }], rejected: [] }
  }
  const pieces: Piece[] = []
  let row = 0
  for (const end of [...shaped.misfits.map((misfit) => misfit.row), batch.rows]) {
    const piece = sliceBatch(shaped.batch, row, end)
    if (end > row) pieces.push({ id: `${id}/${row}-${end}`, row, batch: piece })
    row = end + 1
  }
  return { pieces, rejected: shaped.misfits.map(problemOf) }
}

function problemOf({ row, field, isNull }: Misfit): RowProblem {
  const column = `column ${field.name}, which the target keeps as ${typeName(field.type)}`
  const message = isNull
    ? `no value for ${column} not null`
    : `a value that is not exactly one of ${column}`
  return { row, code: 'schema.value_not_held', message, attempts: 1 }
}
