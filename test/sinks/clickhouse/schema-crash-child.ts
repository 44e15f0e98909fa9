/** A process that delivers a topic whose schema changes, until all of it is there; see schema-crash.it.test.ts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { readHead } from '../../../core/log/head.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import type { TopicState } from '../../../core/task/delivery-log.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import type { SinkConnector } from '../../../core/connector/sink.ts'
import { sourceChain } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

const [, , url, logUrl, topic, end] = process.argv
if (url === undefined || logUrl === undefined || topic === undefined) throw new Error('arguments')
const log = await testLog(logUrl)
const stop = new AbortController()
const running = runDeliver(
  {
    connector: clickhouse as SinkConnector<unknown>,
    config: clickhouse.config.parse({ url }),
    from: [topic],
    chains: [sourceChain],
    onSchemaChange: { policy: 'evolve', drop: 'apply', widen: 'keep' },
  },
  taskContext(log, 'k', `child ${process.pid}`),
  stop.signal,
)
for (;;) {
  const head = await readHead(log, 'p.sink.k', stop.signal)
  const notes = head?.notes as { topics: Record<string, TopicState> } | null | undefined
  const state = notes?.topics[topic]
  if (state?.done === Number(end) && state.plan === null) break
  await Promise.race([sleep(20), running])
}
stop.abort()
await running
