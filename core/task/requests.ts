/**
 * Requests: what a command asks of a sink's task (send letters again, drop them, deliver a stretch of
 * the log once more). They are rows of a chain of their own, `<sink's chain>.requests`, so that they
 * are asked for while the pipeline is not running too, and are done exactly once: the task follows that
 * chain as one more input, with its cursor in its own commits.
 *
 *   requests   token, kind, by, at, body (JSON)     a request's number is its row's offset
 *   edited     rows as in a dead-letter topic       letters whose row was changed, of the same commit
 */
import type { ChainReader } from '../log/reader.ts'
import type { Commit } from '../log/types.ts'
import type { Batch } from '../record/batch.ts'
import { RecordTable, required } from '../record/records.ts'
import { numberAt, textAt } from '../record/value.ts'

/** A letter as a request names it: its number and its row's offset in the topic. */
export type NamedLetter = readonly [letter: number, offset: number]
/** By topic, in the order of the offsets. */
export type LettersByTopic = Readonly<Record<string, readonly NamedLetter[]>>

export type RequestBody =
  /** Sends the letters' rows again; those in `edited` with other values. */
  | { readonly kind: 'retry'; readonly letters: LettersByTopic }
  | { readonly kind: 'drop'; readonly letters: readonly number[] }
  /** Sends each letter's row and every later row of its key again, in their order. */
  | { readonly kind: 'replay_keys'; readonly letters: LettersByTopic }
  /** Sends rows [from, to) of a topic again. */
  | {
      readonly kind: 'replay'
      readonly topic: string
      readonly from: number
      readonly to: number
      /** A condition over the topic's columns (row-filter.ts). */
      readonly where: string | null
    }
  /** Builds the sink's target of a topic anew from the log; from its beginning when `from` is null. */
  | { readonly kind: 'resync'; readonly topic: string; readonly from: number | null }
  /** Ends a request at its next border. */
  | { readonly kind: 'cancel'; readonly request: number }

export type RequestKind = RequestBody['kind']

export interface Request {
  readonly number: number
  /** The commit of the requests' chain that holds it. */
  readonly seq: number
  /** Chosen by who asks, so that a lost answer does not ask twice. */
  readonly token: string
  /** Who asked, for people. */
  readonly by: string
  readonly atUs: number
  readonly body: RequestBody
}

export const requestsTopic = 'requests'
export const editedTopic = 'edited'

export function requestChain(sinkChain: string): string {
  return `${sinkChain}.requests`
}

type NewRequest = Omit<Request, 'number' | 'seq'>

const table = new RecordTable<NewRequest>(
  [
    required('token', 'text', ({ token }) => token),
    required('kind', 'text', ({ body }) => body.kind),
    required('by', 'text', ({ by }) => by),
    required('at', 'timestamptz', ({ atUs }) => atUs),
    required('body', 'json', ({ body }) => JSON.stringify(body)),
  ],
  ({ atUs }) => atUs,
)

export function requestBatch(request: NewRequest): Batch {
  return table.batch([request])
}

/** The requests of a commit, in their order; fences have none. */
export async function requestsIn(
  reader: ChainReader,
  commit: Commit,
  signal: AbortSignal,
): Promise<Request[]> {
  const requests: Request[] = []
  for (const [index, block] of commit.blocks.entries()) {
    if (block.topic !== requestsTopic) continue
    const batch = await reader.readBlock(commit, index, signal)
    if (batch === null) continue
    for (let row = 0; row < batch.rows; row++) {
      const value = (field: number): string =>
        textAt(table.schema.fields[field]!.type, batch.columns[field]!, row)!
      requests.push({
        number: block.baseOffset + row,
        seq: commit.seq,
        token: value(0),
        by: value(2),
        atUs: Number(numberAt(batch.columns[3]!, row)),
        body: JSON.parse(value(4)) as RequestBody,
      })
    }
  }
  return requests
}

/** The letters of a commit whose rows were changed; null when none were. */
export async function editedIn(
  reader: ChainReader,
  commit: Commit,
  signal: AbortSignal,
): Promise<Batch | null> {
  const index = commit.blocks.findIndex((block) => block.topic === editedTopic)
  return index < 0 ? null : reader.readBlock(commit, index, signal)
}
