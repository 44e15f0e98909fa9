/** The suite every sink must pass, on the real engine, in both modes. */
import { clickhouse } from '../../../sinks/clickhouse/connector.ts'
import { defaultTable } from '../../../sinks/clickhouse/tables.ts'
import { qualified, quoteIdentifier } from '../../../sinks/clickhouse/identifiers.ts'
import { startClickHouse } from '../../services/clickhouse.ts'
import { sinkConformance } from '../../conformance/sink.ts'
import { openSink } from './harness.ts'

for (const mode of ['upsert', 'append'] as const) {
  sinkConformance(`clickhouse, ${mode}`, async () => {
    const server = await startClickHouse()
    // The library's own `default` database takes names with braces for globs of files; a server does not.
    const database = "it's a `database`"
    await server.command(`CREATE DATABASE ${quoteIdentifier(database)}`)
    return {
      connector: clickhouse,
      truncates: mode === 'upsert',
      open: () => openSink({ url: server.url, database, mode }),
      async delivered(topic) {
        const table = defaultTable(topic)
        const from = qualified(database, mode === 'upsert' ? `${table}_live` : table)
        const found = await server.query(`SELECT * FROM ${from}`)
        return found.map((row) =>
          Object.fromEntries(
            Object.entries(row)
              .filter(([name]) => !name.startsWith('_sluice_'))
              .map(([name, value]) => [
                name,
                value === null ? null : String(value as string | number),
              ]),
          ),
        )
      },
      loseNextAnswer: () => server.inject([{ kind: 'drop-response', match: '^INSERT' }]),
      async stallNextAnswer() {
        await server.inject([{ kind: 'delay', match: '^INSERT', ms: 60_000 }])
        return { release: () => server.inject([]) }
      },
      poison: {
        text: 'arsenic',
        prepare: (topic) =>
          server.command(
            `ALTER TABLE ${qualified(database, defaultTable(topic))} ADD CONSTRAINT c CHECK v != 'arsenic'`,
          ),
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    }
  })
}
