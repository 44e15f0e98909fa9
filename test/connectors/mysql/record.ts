/**
 * Records the binlog files of test/fixtures/mysql from real servers:
 *
 *   npx node test/connectors/mysql/record.ts [name …]
 */
import { gzipSync } from 'node:zlib'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadTables } from '../../../connectors/mysql/catalog.ts'
import { loadCollations } from '../../../connectors/mysql/charsets-catalog.ts'
import { mysqlServers, type MysqlServerName } from '../../services/mysql-servers.ts'
import type { MysqlServer, Settings } from '../../services/mysql-family.ts'
import type { Recording } from './binlog-files.ts'
import { recordings, type Recipe } from './recordings.ts'

const folder = new URL('../../fixtures/mysql/', import.meta.url)

async function record(recipe: Recipe): Promise<void> {
  const [starter] = await mysqlServers(recipe.server as MysqlServerName)
  if (starter === undefined) throw new Error(`${recipe.server} cannot be had here`)
  await using server = await starter.start({ settings: recipe.settings as Settings })
  const client = await server.client()
  for (const sql of recipe.before) await client.query(sql)
  await client.query('FLUSH BINARY LOGS')
  const file = await currentFile(server)
  const gtids = await gtidsOf(server)
  const remembered = await rememberedTables(server, recipe.tables)
  const defaults = await defaultsOf(server, recipe.tables)
  for (const sql of recipe.changes) await client.query(sql)
  const rows: Record<string, (string | null)[][]> = {}
  for (const table of recipe.tables) rows[`shop.${table}`] = await rowsOf(client, table)
  await client.query('FLUSH BINARY LOGS')
  const collations = await loadCollations((sql) => server.query(sql))
  const [version] = await server.query<{ v: string }>('SELECT VERSION() AS v')
  const recorded: Recording = {
    name: recipe.name,
    flavour: server.flavour,
    version: version!.v,
    gtids,
    collations: Object.fromEntries(
      [...collations].filter(([id]) => usedCollations.has(id)).map(([id, name]) => [id, name]),
    ),
    remembered,
    defaults,
    rows,
  }
  mkdirSync(folder, { recursive: true })
  const bytes = readFileSync(join(server.dir, 'data', file))
  writeFileSync(new URL(`${recipe.name}.binlog.gz`, folder), gzipSync(bytes, { level: 9 }))
  writeFileSync(new URL(`${recipe.name}.json`, folder), `${JSON.stringify(recorded, null, 1)}\n`)
  process.stdout.write(`${recipe.name}: ${bytes.length} bytes\n`)
}

const usedCollations = new Set([8, 33, 45, 46, 63, 224, 255, 2304, 309])

async function currentFile(server: MysqlServer): Promise<string> {
  const sql = server.flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'
  const [row] = await server.query<{ File: string }>(sql)
  return row!.File
}

async function gtidsOf(server: MysqlServer): Promise<string> {
  const name = server.flavour === 'mysql' ? '@@gtid_executed' : '@@gtid_binlog_pos'
  const [row] = await server.query<{ g: string }>(`SELECT ${name} AS g`)
  return row!.g.replaceAll('\n', '')
}

async function rememberedTables(
  server: MysqlServer,
  tables: readonly string[],
): Promise<Recording['remembered']> {
  const found = await loadTables(
    (sql) => server.query(sql),
    tables.map((table) => ({ database: 'shop', table })),
  )
  return Object.fromEntries(
    found.map(({ table, columns, key }) => [
      `shop.${table}`,
      {
        columns: columns.map(({ name, type }) => ({ name, type })),
        key,
        primary: true,
        charset: null,
        asOf: null,
      },
    ]),
  )
}

/** MariaDB writes them as SQL has them. */
async function defaultsOf(
  server: MysqlServer,
  tables: readonly string[],
): Promise<Recording['defaults']> {
  const defaults: Record<string, (string | null)[]> = {}
  for (const table of tables) {
    const rows = await server.query<{ d: string | null }>(
      `SELECT COLUMN_DEFAULT AS d FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = '${table}' ORDER BY ORDINAL_POSITION`,
    )
    defaults[`shop.${table}`] = rows.map(({ d }) => (d === 'NULL' ? null : d))
  }
  return defaults
}

async function rowsOf(
  client: Awaited<ReturnType<MysqlServer['client']>>,
  table: string,
): Promise<(string | null)[][]> {
  const [columns] = (await client.query(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = '${table}' ORDER BY ORDINAL_POSITION`,
  )) as unknown as [{ name: string; type: string }[]]
  const printed = columns.map(({ name, type }) => {
    if (type === 'varbinary') return `LOWER(HEX(\`${name}\`))`
    // Long texts are repetitions: told by length and hash.
    if (type === 'text')
      return `IF(LENGTH(\`${name}\`) > 1000, CONCAT(LENGTH(\`${name}\`), ' ', SHA2(\`${name}\`, 256)), \`${name}\`)`
    return `CONCAT(\`${name}\`, '')`
  })
  const [rows] = (await client.query({
    sql: `SELECT ${printed.join(', ')} FROM shop.\`${table}\``,
    rowsAsArray: true,
  })) as unknown as [(string | Buffer | null)[][]]
  return rows.map((row) => row.map((value) => (value === null ? null : value.toString())))
}

const wanted = process.argv.slice(2)
for (const recipe of recordings) {
  if (wanted.length === 0 || wanted.includes(recipe.name)) await record(recipe)
}
