/** A process of crash.it.test.ts: delivers the topic `src.rows` of the log in a folder to a Redis. It is killed on its way. */
import { feast } from '../../../../sinks/feast/connector.ts'
import type { SinkConnector } from '../../../../core/connector/sink.ts'
import { runDeliver } from '../../../../core/task/deliver.ts'
import { taskContext, testLog } from '../../../support/task-context.ts'

const [folder = '', url = ''] = process.argv.slice(2)
const log = await testLog(`file://${folder}`)
const config = feast.config.parse({
  project: 'shop',
  target: { type: 'redis', url },
  views: { v: { entities: ['id'], event_timestamp: 'at', features: ['n'] } },
})
// Small batches: many places to be killed at.
const connector = {
  ...feast,
  batching: () => ({ rowsMax: 700, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }),
} as SinkConnector<unknown>
const task = { connector, config, from: ['src.rows'], chains: ['c'] }
await runDeliver(task, taskContext(log, 'feats', String(process.pid)), new AbortController().signal)
