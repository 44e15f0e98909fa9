/** A process that delivers a topic and does what is asked of its sink; see resync.it.test.ts. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SinkConnector } from '../../../core/connector/sink.ts'
import { readHead } from '../../../core/log/head.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import type { DeliveryNotes } from '../../../core/task/delivery-log.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import { sourceChain } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'

export interface ResyncChild {
  readonly url: string
  readonly logUrl: string
  readonly topic: string
  readonly mode: 'upsert' | 'append'
  /** Offset after the last row, and requests that are over by then. */
  readonly end: number
  readonly requests: number
}

async function deliverAll(child: ResyncChild): Promise<void> {
  const { url, logUrl, topic, mode, end, requests } = child
  const log = await testLog(logUrl)
  const stop = new AbortController()
  const running = runDeliver(
    {
      connector: clickhouse as SinkConnector<unknown>,
      config: clickhouse.config.parse({ url, mode, flush: { rows: 4, interval: '1ms' } }),
      from: [topic],
      chains: [sourceChain],
    },
    taskContext(log, 'k', `child ${process.pid}`),
    stop.signal,
  )
  for (;;) {
    const head = await readHead(log, 'p.sink.k', stop.signal)
    const notes = head?.notes as DeliveryNotes | null | undefined
    const state = notes?.topics[topic]
    const over = notes?.requests?.over.length ?? 0
    if (state?.done === end && state.plan === null && over >= requests) break
    if (state?.parked) throw new Error(state.parked.message)
    await Promise.race([sleep(20), running])
  }
  stop.abort()
  await running
}

const [, program, child] = process.argv
if (program === import.meta.filename) await deliverAll(JSON.parse(child!) as ResyncChild)
