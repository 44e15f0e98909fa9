/**
 * Positions of this source: how far the stream is, and how far the first copy of the tables is.
 *
 *   position = JSON {"lsn": "X/Y" [, "snapshot": SnapshotProgress] [, "beside": progress of the copy beside the stream]}
 */
import { SluiceError } from '../../core/errors/error.ts'
import { position, type Position } from '../../core/connector/source.ts'
import { formatLsn, parseLsn } from './lsn.ts'
import type { SnapshotProgress as BesideProgress } from '../../core/connector/snapshot/progress.ts'
import type { SnapshotProgress } from './snapshot-progress.ts'

export interface PgPosition {
  /** Everything that committed before it is in the log; the stream goes on here. */
  readonly lsn: bigint
  /** null when the tables were never to be copied. */
  readonly snapshot: SnapshotProgress | null
  /** Tables that were added later or copied again. */
  readonly beside?: BesideProgress
}

export function formatPosition({ lsn, snapshot, beside }: PgPosition): Position {
  return position(
    JSON.stringify({
      lsn: formatLsn(lsn),
      ...(snapshot === null ? {} : { snapshot }),
      ...(beside === undefined || beside.steps === 0 ? {} : { beside }),
    }),
  )
}

/** Throws `internal.bug`: a position comes from our own log, and from nowhere else. */
export function parsePosition(text: Position): PgPosition {
  try {
    const content = JSON.parse(text) as {
      lsn: string
      snapshot?: SnapshotProgress
      beside?: BesideProgress
    }
    const { lsn, snapshot = null, beside } = content
    return { lsn: parseLsn(lsn), snapshot, ...(beside === undefined ? {} : { beside }) }
  } catch (cause) {
    throw new SluiceError('internal.bug', {
      message: 'The position in the log is not one of a PostgreSQL source.',
      cause,
    })
  }
}

/**
 * Whether everything that `b` says is done, `a` says too. A partial order: of two positions of which
 * one is further in the stream and the other in the copy, neither is at or after the other.
 */
export function atOrAfter(a: Position, b: Position): boolean {
  const left = parsePosition(a)
  const right = parsePosition(b)
  return (
    left.lsn >= right.lsn &&
    stepsOf(left) >= stepsOf(right) &&
    (left.beside?.steps ?? 0) >= (right.beside?.steps ?? 0)
  )
}

function stepsOf({ snapshot }: PgPosition): number {
  return snapshot?.steps ?? 0
}
