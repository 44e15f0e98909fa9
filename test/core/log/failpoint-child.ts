/**
 * A process of failpoint.test.ts: appends numbers to the chain in a folder, each commit's position
 * being its last number, and prints every position that was acknowledged. It is killed on its way.
 */
import { writeSync } from 'node:fs'
import { openLog } from '../../../core/log/log.ts'
import { ChainWriter } from '../../../core/log/writer.ts'
import { openStore } from '../../../core/store/open.ts'
import { bulk, rows, signal } from './support.ts'

const [folder = '', commits = '0'] = process.argv.slice(2)
await using store = openStore(`file://${folder}`)
const log = await openLog(store, { signal })
await using writer = await ChainWriter.open(log, 'c', { writer: `${process.pid}`, signal })
for (let i = 0; i < Number(commits); i++) {
  const from = Number(writer.head.position ?? '0')
  const entries = [{ kind: 'rows', topic: 'a', batch: rows(from, 3) } as const]
  // Now and then a commit so large that its blocks go to a segment first.
  const large = i % 7 === 3 ? [{ kind: 'rows', topic: 'b', batch: bulk(4300, 1000) } as const] : []
  await writer.commit({ entries: [...entries, ...large], position: `${from + 3}` }, signal)
  // Synchronous: what was acknowledged is known however this process ends.
  writeSync(1, `${from + 3}\n`)
}
