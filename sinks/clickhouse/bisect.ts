/**
 * Inserts a batch of which the server refuses some row, or for which it has no memory: in halves, until each refused row stands
 * alone. The halves are cut at the same places on every attempt, so each keeps its token, and a piece
 * that went in before a crash is not inserted twice.
 */
import { SluiceError } from '../../core/errors/error.ts'

export interface Pieces {
  /** Rows in the batch. */
  readonly rows: number
  /** Inserts [from, to). */
  insert(from: number, to: number): Promise<void>
  /** What an earlier attempt left of [from, to): only `all` and `none` come from a whole piece. */
  present(from: number, to: number): 'all' | 'some' | 'none'
  /** Whether fewer rows may go in where these did not. */
  tooLarge(error: SluiceError): boolean
}

export interface Poisoned {
  readonly row: number
  readonly error: SluiceError
}

/**
 * Attempts of one batch. Each refused row costs about twice as many as the batch can be halved, so
 * this is about 60 refused rows of 50,000: more of them is not a bad row, it is the wrong table.
 */
const insertsMax = 2048

/** Returns the refused rows; all others are in. Throws what is not about single rows. */
export async function insertInPieces(pieces: Pieces): Promise<readonly Poisoned[]> {
  const poisoned: Poisoned[] = []
  // The piece to do next is last, so that rows go in in their order.
  const open: [from: number, to: number][] = pieces.rows === 0 ? [] : [[0, pieces.rows]]
  let inserts = 0
  while (open.length > 0) {
    const [from, to] = open.pop()!
    const before = pieces.present(from, to)
    if (before === 'all') continue
    if (before === 'none') {
      if (++inserts > insertsMax) throw tooMany(poisoned)
      const error = await refusal(() => pieces.insert(from, to))
      if (error === null) continue
      if (error.fault !== 'row' && (to - from === 1 || !pieces.tooLarge(error))) throw error
      if (to - from === 1) {
        poisoned.push({ row: from, error })
        continue
      }
    }
    const middle = (from + to) >>> 1
    open.push([middle, to], [from, middle])
  }
  return poisoned
}

async function refusal(insert: () => Promise<void>): Promise<SluiceError | null> {
  try {
    await insert()
    return null
  } catch (error) {
    if (error instanceof SluiceError) return error
    throw error
  }
}

function tooMany(poisoned: readonly Poisoned[]): SluiceError {
  return new SluiceError('sink.clickhouse.too_many_refused', {
    message: `ClickHouse refused at least ${poisoned.length} rows of one batch.`,
    cause: poisoned.at(-1)?.error,
  })
}
