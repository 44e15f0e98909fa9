/** A process that delivers a topic whose schema changes, until all of it is there; see schema-crash.it.test.ts. */
import type { SinkConnector } from '../../../core/connector/sink.ts'
import type { LogEntry } from '../../../core/log/types.ts'
import { makeSchema, type Field } from '../../../core/record/schema.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import { runDeliver, type DeliverTask } from '../../../core/task/deliver.ts'
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import { batchOf, type Value } from '../../conformance/rows.ts'
import { waitFor } from '../../support/env.ts'
import { statesOf } from '../../support/letters.ts'
import { sourceChain } from '../../support/scripted-sink.ts'
import { taskContext, testLog } from '../../support/task-context.ts'
import { whileRunning } from '../../support/while-running.ts'

const int32: LogicalType = { kind: 'int32' }
const int64: LogicalType = { kind: 'int64' }
const text: LogicalType = { kind: 'text' }

/** Offset after the last row of `changingRows`. */
const end = 6

/** Rows without a key, a table of changes in which each that is doubled shows: a drop, a rename, a type that is held. */
export function changingRows(topic: string): readonly LogEntry[] {
  return [
    rows(topic, { n: int32, note: text, gone: text }, { n: 1, note: 'a', gone: 'g' }),
    rows(topic, { n: int32, note: text }, { n: 2, note: 'b' }),
    rows(topic, { n: int32, remark: text }, { n: 3, remark: 'c' }),
    rows(
      topic,
      { n: int64, remark: text },
      { n: 4, remark: 'd' },
      { n: 2 ** 40, remark: 'too large' },
      { n: 5, remark: 'e' },
    ),
  ]
}

function rows(
  topic: string,
  fields: Readonly<Record<string, LogicalType>>,
  ...given: readonly Readonly<Record<string, Value>>[]
): LogEntry {
  const list = Object.entries(fields).map(([name, type]): Field => ({ name, type, nullable: true }))
  const schema = makeSchema(list, [], 'append')
  return {
    kind: 'rows',
    topic,
    batch: batchOf(
      schema,
      given.map((values) => ({ values })),
    ),
  }
}

async function deliverAll(url: string, logUrl: string, topic: string): Promise<void> {
  const log = await testLog(logUrl)
  const task: DeliverTask = {
    connector: clickhouse as SinkConnector<unknown>,
    config: clickhouse.config.parse({ url }),
    from: [topic],
    chains: [sourceChain],
    onSchemaChange: { policy: 'evolve', drop: 'apply', widen: 'keep' },
  }
  const done = async (): Promise<boolean> => {
    const state = (await statesOf(log))[topic]
    return state?.done === end && state.plan === null
  }
  await whileRunning(
    (stop) => runDeliver(task, taskContext(log, 'k', `child ${process.pid}`), stop),
    () => waitFor('all of it', done),
  )
}

const [, program, url, logUrl, topic] = process.argv
if (program === import.meta.filename) await deliverAll(url!, logUrl!, topic!)
