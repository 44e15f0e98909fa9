/** A process that delivers a topic and does what is asked of its sink; see resync.it.test.ts. */
import type { SinkConnector } from '../../../core/connector/sink.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import { waitFor } from '../../support/env.ts'
import { notesOf } from '../../support/letters.ts'
import { sourceChain } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'

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
  const task = {
    connector: clickhouse as SinkConnector<unknown>,
    config: clickhouse.config.parse({ url, mode, flush: { rows: 4, interval: '1ms' } }),
    from: [topic],
    chains: [sourceChain],
  }
  const ended = async () => {
    const notes = await notesOf(log)
    const state = notes?.topics[topic]
    const over = notes?.requests?.over.length ?? 0
    const isDone = state?.done === end && state.plan === null && over >= requests
    return isDone || state?.parked ? state : undefined
  }
  const { parked } = await whileRunning(
    (stop) => runDeliver(task, taskContext(log, 'k', `child ${process.pid}`), stop),
    () => waitFor('all of it', ended),
  )
  if (parked) throw new Error(parked.message)
}

const [, program, child] = process.argv
if (program === import.meta.filename) await deliverAll(JSON.parse(child!) as ResyncChild)
