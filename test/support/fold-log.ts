/** A log as its reader holds it (fold.ts): what ingest committed of a source, row by row. */
import { position, type TopicChange } from '../../core/connector/source.ts'
import type { Log } from '../../core/log/log.ts'
import { ChainReader } from '../../core/log/reader.ts'
import { chainName } from '../../core/task/names.ts'
import { Fold } from './fold.ts'

/** What the log says from the first commit of the source's chain on. */
export async function foldOf(log: Log, source: string): Promise<Fold> {
  const fold = new Fold()
  const signal = AbortSignal.timeout(60_000)
  await using reader = ChainReader.open(log, chainName('p', 'ingest', source), 1)
  for (;;) {
    const commit = await reader.tryNext(signal)
    if (commit === null) return fold
    const changes: TopicChange[] = []
    for (const [i, { topic, kind }] of commit.blocks.entries()) {
      const batch = await reader.readBlock(commit, i, signal)
      changes.push(kind === 'truncate' ? { topic, truncate: true } : { topic, batch: batch! })
    }
    fold.apply({ changes, transaction: null, end: null, position: position('read') })
  }
}
