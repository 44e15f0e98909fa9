/** A source's own past: the rows of one of its topics, from the log that it writes itself. */
import { locate, readHead } from '../log/head.ts'
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import type { Batch } from '../record/batch.ts'

/**
 * Rows of `topic` from the first one of `sinceMs` or later on, oldest first; ends with the newest commit
 * there is when it begins. See SourceContext.history.
 */
export async function* ownHistory(
  log: Log,
  chain: string,
  { topic, sinceMs }: { readonly topic: string; readonly sinceMs: number },
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const head = await readHead(log, chain, signal)
  if (head?.topics.has(topic) !== true) return
  const { seq } = await locate(log, chain, topic, { timeUs: sinceMs * 1000 }, signal)
  await using reader = ChainReader.open(log, chain, seq)
  while (reader.seq <= head.seq) {
    const commit = await reader.tryNext(signal)
    if (commit === null) return
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic || block.rows === 0) continue
      const batch = await reader.readBlock(commit, index, signal)
      if (batch !== null) yield batch
    }
  }
}
