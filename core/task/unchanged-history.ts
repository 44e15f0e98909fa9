/** Reads a topic's history from the log into the row memory, from its cursor to the head of the chain. */
import type { Log } from '../log/log.ts'
import { ChainReader } from '../log/reader.ts'
import { rowKey } from '../record/key.ts'
import type { RowMemory } from './row-memory.ts'

/** The cursor moves after so many commits at the latest: what is read twice is bounded. */
const cursorCommits = 64

export async function readHistory(
  memory: RowMemory,
  topic: string,
  {
    log,
    chain,
    signal,
  }: { readonly log: Log; readonly chain: string; readonly signal: AbortSignal },
): Promise<void> {
  await using reader = ChainReader.open(log, chain, await memory.cursor(topic))
  let read = 0
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) break
    for (const [index, block] of commit.blocks.entries()) {
      if (block.topic !== topic) continue
      const batch = await reader.readBlock(commit, index, signal)
      if (batch === null) {
        await memory.clearTopic(topic)
        continue
      }
      const names = new Set(batch.schema.fields.map(({ name }) => name))
      const gone = new Set([...memory.fieldNames(topic)].filter((name) => !names.has(name)))
      if (gone.size > 0) await memory.dropFields(topic, gone)
      const keys = Array.from({ length: batch.rows }, (_, row) => rowKey(batch, row))
      await memory.put({ topic, batch, keys })
    }
    read = commit.seq
    if (read % cursorCommits === 0) await memory.moveCursors([topic], read + 1)
  }
  if (read > 0) await memory.moveCursors([topic], read + 1)
}
