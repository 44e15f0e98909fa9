/** A replay with a condition: the rows that it cannot be decided for are told, whatever happens meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../core/log/log.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { runDeliver } from '../../../core/task/deliver.ts'
import { waitFor } from '../../support/env.ts'
import { ask, doneAt, over } from '../../support/letters.ts'
import { numberRows } from '../../support/number-rows.ts'
import {
  scriptedSink,
  sinkScript,
  sourceChain,
  writeTopics,
  type SinkScript,
} from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { untilDisposed } from '../../support/while-running.ts'

const rows = (numbers: readonly number[]): LogEntry => ({
  kind: 'rows',
  topic: 's.t',
  batch: numberRows(numbers),
})

function deliver(log: Log, script: SinkScript): AsyncDisposable {
  const connector = scriptedSink(script)
  const task = { connector, config: {}, from: ['s.*'], chains: [sourceChain] }
  return untilDisposed((stop) => runDeliver(task, taskContext(log, 'k'), stop))
}

for (const stopAt of [1, 4, 8]) {
  test(`rows that a replay left out are told, also where it was stopped at row ${stopAt} (invariant 5)`, async () => {
    const log = await testLog()
    const batching = { rowsMax: 3, bytesMax: 1 << 20, pauseMsMin: 0, pauseMsMax: 0 }
    await writeTopics(log, rows([0, 1, 2, 3]), rows([4, 5, 6, 7, 8, 9]))
    const where = '10 / ((n - 2) * (n - 5)) > -100'
    let number = 0
    {
      const script = sinkScript({
        batching,
        answer: ({ origin, numbers }, stop) =>
          origin === 'replay' && numbers!.includes(stopAt)
            ? new Promise<never>((_resolve, reject) => {
                stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true })
              })
            : [],
      })
      await using _running = deliver(log, script)
      await doneAt(log, 10)
      number = (await ask(log, { kind: 'replay', topic: 's.t', from: 0, to: 10, where })).number
      await waitFor('that row', () =>
        script.attempts.some(
          ({ origin, numbers }) => origin === 'replay' && numbers!.includes(stopAt),
        ),
      )
    }
    await using _running = deliver(log, sinkScript({ batching }))
    const { how, sent, problem } = await over(log, number)
    assert.deepEqual([how, sent], ['failed', 8])
    assert.match(problem ?? '', /the condition failed for 2 rows /)
  })
}
