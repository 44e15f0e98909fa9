import { feast } from '../../../../sinks/feast/connector.ts'
import { conformanceTopics, sinkConformance, type SinkHarness } from '../../../conformance/sink.ts'
import { startFeastServerOf } from '../../../services/feast-server.ts'
import { startTcpProxy } from '../../../services/tcp-proxy.ts'
import { answerFaults } from '../../../support/answer-faults.ts'
import { openFeast } from '../redis/support.ts'

const viewOf = (topic: string): string => `v${conformanceTopics.indexOf(topic)}`
const views = Object.fromEntries(conformanceTopics.map((topic) => [viewOf(topic), { topic }]))
/** `feast serve` takes a data frame only with all of a view's features: those of the suite's rows there. */
const featuresOf = (topic: string): Readonly<Record<string, string>> =>
  topic.startsWith('src.h') ? { v: 'String', plain: 'String' } : { v: 'String' }
/** A feature server tells of entities that it is asked about: all of the suite's. */
const entities = [
  ...Array.from({ length: 60 }, (_, n) => String(n)),
  '9007199254740993',
  '9223372036854775807',
]

async function startHarness(): Promise<SinkHarness & AsyncDisposable> {
  const server = await startFeastServerOf({
    entity: { name: 'n', type: 'Int64' },
    views: Object.fromEntries(conformanceTopics.map((topic) => [viewOf(topic), featuresOf(topic)])),
  })
  const proxy = await startTcpProxy(Number(new URL(server.url).port))
  const url = `http://127.0.0.1:${proxy.port}`
  const target = { type: 'push' }
  return {
    open: () =>
      openFeast(url, views, { target, sink: { on_delete: 'null' }, topics: conformanceTopics }),
    delivered: async (topic) => {
      const found = await server.rows(viewOf(topic), Object.keys(featuresOf(topic)), entities)
      return found.flatMap((row, i): Record<string, string | null>[] => {
        // Its features are all texts.
        return row === null ? [] : [{ n: entities[i]!, ...(row as Record<string, string | null>) }]
      })
    },
    connector: feast,
    truncates: false,
    addsColumns: false,
    // Its columns are those that Feast was told of.
    takesColumn: () => false,
    ...answerFaults(proxy),
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

sinkConformance('feast, by push to feast serve', startHarness)
