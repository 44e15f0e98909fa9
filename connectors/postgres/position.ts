/**
 * Positions of this source: how far the stream is, and how far the first copy of the tables is.
 *
 *   position = JSON {"lsn": "X/Y"} or {"lsn": "X/Y", "snapshot": SnapshotProgress}
 */
import { SluiceError } from '../../core/errors/error.ts'
import { position, type Position } from '../../core/connector/source.ts'
import { formatLsn, parseLsn } from './lsn.ts'
import type { SnapshotProgress } from './snapshot-progress.ts'

export interface PgPosition {
  /** Everything that committed before it is in the log; the stream goes on here. */
  readonly lsn: bigint
  /** null when the tables were never to be copied. */
  readonly snapshot: SnapshotProgress | null
}

export function formatPosition({ lsn, snapshot }: PgPosition): Position {
  const content = snapshot === null ? { lsn: formatLsn(lsn) } : { lsn: formatLsn(lsn), snapshot }
  return position(JSON.stringify(content))
}

/** Throws `internal.bug`: a position comes from our own log, and from nowhere else. */
export function parsePosition(text: Position): PgPosition {
  try {
    const content = JSON.parse(text) as { lsn: string; snapshot?: SnapshotProgress }
    return { lsn: parseLsn(content.lsn), snapshot: content.snapshot ?? null }
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
  return left.lsn >= right.lsn && stepsOf(left) >= stepsOf(right)
}

function stepsOf({ snapshot }: PgPosition): number {
  return snapshot?.steps ?? 0
}
