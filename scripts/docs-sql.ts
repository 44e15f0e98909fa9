/**
 * docs/sql.md: the SQL of transforms. What can be computed is computed by the engine itself: results
 * of the example calls, changelogs and keys of the example queries, messages of refused ones. So the
 * page cannot say what the code does not do, and a function without an example fails the build.
 */
import { makeBatch } from '../core/record/batch.ts'
import { BytesBuilder } from '../core/record/bytes-builder.ts'
import { Int32Builder, NumberBuilder } from '../core/record/builder.ts'
import { makeSchema, type Changelog, type Field, type Schema } from '../core/record/schema.ts'
import { textAt } from '../core/record/value.ts'
import { codes } from '../core/errors/codes.ts'
import { SluiceError } from '../core/errors/error.ts'
import { compile, type CompiledQuery } from '../core/sql/compile.ts'
import { parseQuery } from '../core/sql/parse/parse.ts'
import { aggregateNames } from '../core/sql/plan/aggregates.ts'
import { formsOf, functionNames } from '../core/sql/plan/function-table.ts'
import { castNames, sqlName } from '../core/sql/plan/types.ts'
import { calls, page, refused, results } from './docs-sql-text.ts'

const fields: readonly Field[] = [
  { name: 'id', type: { kind: 'int32' }, nullable: false },
  { name: 'region', type: { kind: 'text' }, nullable: true },
  { name: 'amount', type: { kind: 'int32' }, nullable: true },
  { name: 'at', type: { kind: 'timestamptz' }, nullable: true },
  { name: 'tags', type: { kind: 'list', element: { kind: 'text' } }, nullable: true },
]

function ordersOf(changelog: Changelog): Schema {
  return makeSchema(fields, changelog === 'append' ? [] : [0], changelog)
}

async function compiled(sql: string, changelog: Changelog): Promise<CompiledQuery> {
  return compile(await parseQuery(sql), new Map([['shop.public.orders', ordersOf(changelog)]]))
}

/** What the call gives, with its type. */
async function resultOf(call: string): Promise<string> {
  const schema = makeSchema(fields.slice(0, 4), [], 'append')
  const query = compile(
    await parseQuery(`SELECT ${call} AS x FROM orders`),
    new Map([['orders', schema]]),
  )
  const id = new Int32Builder()
  id.append(1)
  const columns = [id, new BytesBuilder(), new Int32Builder(), new NumberBuilder()]
  for (const builder of columns.slice(1)) builder.appendNull()
  const row = makeBatch(
    schema,
    columns.map((builder) => builder.finish()),
    Int32Array.of(1),
    Uint8Array.of(0),
    Float64Array.of(0),
  )
  const execution = query.start()
  execution.push('orders', row)
  const [batch] = execution.step()
  const [field] = query.output.fields
  if (batch === undefined || field === undefined) throw new Error(`${call} gives no row`)
  const text = textAt(field.type, batch.columns[0]!, 0)
  return `${text === null ? 'null' : `\`${text}\``} (${sqlName(field.type)})`
}

async function functionTable(): Promise<readonly string[]> {
  const lines = ['| function | example | gives |', '| --- | --- | --- |']
  for (const name of functionNames) {
    const call = calls[name]
    if (call === undefined) throw new Error(`${name}() has no example in scripts/docs-sql-text.ts`)
    const forms = formsOf(name)
      .map((form) => `\`${form}\``)
      .join('<br>')
    lines.push(`| ${forms} | \`${call}\` | ${await resultOf(call)} |`)
  }
  return lines.map((line) => line.replaceAll('||', '\\|\\|'))
}

async function resultTable(): Promise<readonly string[]> {
  const lines = ['| query | reads | gives | key |', '| --- | --- | --- | --- |']
  for (const [sql, changelog] of results) {
    const { output } = await compiled(sql, changelog)
    const key = output.key.map((index) => `\`${output.fields[index]!.name}\``).join(', ')
    lines.push(`| \`${sql}\` | ${changelog} | ${output.changelog} | ${key === '' ? 'none' : key} |`)
  }
  return lines
}

async function refusedTable(): Promise<readonly string[]> {
  const lines = ['| query | message | what to do |', '| --- | --- | --- |']
  for (const [sql, changelog] of refused) {
    const error = await compiled(sql, changelog).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof SluiceError)) throw new Error(`${sql} is not refused`, { cause: error })
    // The code's own remedy is for errors without a better one of their own.
    const remedy = error.remedy === codes['sql.unsupported'].remedy ? '' : error.remedy
    lines.push(`| \`${sql}\` | \`${error.code}\`: ${error.message} | ${remedy} |`)
  }
  return lines
}

export async function sqlDocs(): Promise<string> {
  const parts: Readonly<Record<string, readonly string[]>> = {
    functions: await functionTable(),
    results: await resultTable(),
    refused: await refusedTable(),
    casts: [castNames.map((name) => `\`${name}\``).join(', ')],
    aggregates: [['count(*)', ...aggregateNames].map((name) => `\`${name}\``).join(', ')],
  }
  return page.replaceAll(/^\{\{(\w+)\}\}$/gm, (_, name: string) => {
    const lines = parts[name]
    if (lines === undefined) throw new Error(`docs/sql.md has no part ${name}`)
    return lines.join('\n')
  })
}
