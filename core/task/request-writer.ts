/**
 * Writes a request into its chain, from a process that may not be the pipeline's. All or nothing: the
 * request is one commit. Two that write at once fence each other off; the one that lost tries again,
 * and looks first whether its request is there already.
 */
import { SluiceError, toSluiceError } from '../errors/error.ts'
import { failpoint } from '../errors/failpoint.ts'
import { readHead } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import { newId } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { LogEntry } from '../log/types.ts'
import { ChainWriter } from '../log/writer.ts'
import { deadLetterBatch, type LetterRow } from './dead-letters.ts'
import {
  editedTopic,
  requestBatch,
  requestsIn,
  requestsTopic,
  type Request,
  type RequestBody,
} from './requests.ts'

const attemptsMax = 30
const pauseMsMax = 500

export interface NewRequest {
  /** `requestChain` of the sink. */
  readonly chain: string
  readonly body: RequestBody
  /** Letters whose row is changed. */
  readonly edited: readonly LetterRow[]
  /** `host/pid`. */
  readonly by: string
}

/** Durable when it resolves. Throws `task.request_unwritten`, or what the store throws. */
export async function writeRequest(
  log: Log,
  asked: NewRequest,
  signal: AbortSignal,
): Promise<Request> {
  const { chain, body, by, edited } = asked
  const nowMs = log.nowMs()
  const request = { token: newId(log, nowMs), by, atUs: nowMs * 1000, body }
  const entries: LogEntry[] = [{ kind: 'rows', topic: requestsTopic, batch: requestBatch(request) }]
  if (edited.length > 0) {
    entries.push({ kind: 'rows', topic: editedTopic, batch: deadLetterBatch(edited) })
  }
  const before = await readHead(log, chain, signal)
  const from = (before?.seq ?? 0) + 1
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    try {
      // We do not hold this chain as a task does: that somebody else wrote to it is no reason to step down.
      log.held.delete(chain)
      await using writer = await ChainWriter.open(log, chain, { writer: by, signal })
      const known = attempt === 1 ? null : await find(log, chain, from, request.token, signal)
      if (known !== null) return known
      const commit = await writer.commit({ entries }, signal)
      failpoint('request.after_commit')
      const block = commit.blocks.find(({ topic }) => topic === requestsTopic)!
      return { ...request, seq: commit.seq, number: block.baseOffset }
    } catch (thrown) {
      const error = toSluiceError(thrown)
      if (signal.aborted || (error.fault !== 'fenced' && error.code !== 'log.commit_unresolved'))
        throw thrown
      await log.sleep(log.random() * Math.min(pauseMsMax, 20 * 2 ** attempt), signal)
    } finally {
      log.held.delete(chain)
    }
  }
  throw new SluiceError('task.request_unwritten', {
    message: `${chain}: ${attemptsMax} attempts to write a request were all overtaken by others`,
  })
}

/** The request with that token in commits from `from` on; null when it is not there. */
async function find(
  log: Log,
  chain: string,
  from: number,
  token: string,
  signal: AbortSignal,
): Promise<Request | null> {
  await using reader = ChainReader.open(log, chain, from)
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) return null
    const found = (await requestsIn(reader, commit, signal)).find((other) => other.token === token)
    if (found !== undefined) return found
  }
}
