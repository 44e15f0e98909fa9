/** Places in a transform's SQL lead to the same words in the YAML file, in every style of scalar. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { good, load } from './support.ts'

async function places(yaml: string, env: Record<string, string> = {}): Promise<void> {
  const { outline } = await load(yaml, { env, offline: true })
  const transform = outline?.transforms[0]
  assert.ok(transform !== undefined)
  const lines = yaml.split('\n')
  let words = 0
  for (const { 0: word, index } of transform.sql.matchAll(/[A-Za-z_][A-Za-z_0-9]*/g)) {
    if (Object.values(env).some((value) => value.includes(word))) continue
    const { line, col } = transform.sqlRange(index, index + word.length)
    assert.equal(lines[line - 1]?.slice(col - 1, col - 1 + word.length), word, `${line}:${col}`)
    words++
  }
  assert.ok(words > 3)
}

const withSql = (sql: string): string =>
  good.replace(/ {4}sql: \|\n(?: {6}.*\n)+/, () => `    sql: ${sql}\n`)

test('block texts, literal and folded, with indentation indicators and comments', async () => {
  await places(good)
  await places(withSql('|- # why\n      SELECT a,\n\n        b\n      FROM orders'))
  await places(withSql('>\n      SELECT a,\n      b\n\n        c\n      FROM orders'))
  await places(withSql('|2\n        SELECT a,\n      b\n      FROM orders'))
})

test('plain and quoted texts, over several lines and with escapes', async () => {
  await places(withSql('SELECT a, b FROM orders'))
  await places(withSql('SELECT a,\n      b\n      FROM orders'))
  await places(withSql(`'SELECT ''it''''s'' AS x, b FROM orders'`))
  await places(
    withSql(`"SELECT \\"a\\", '\\\\' AS x,\\n b \\u0021 \\U0001F600 \\\n      c FROM orders"`),
  )
  await places(withSql('"SELECT a,\n      b,\n\n      c FROM orders"'))
})

test('around references', async () => {
  await places(withSql("|\n      SELECT '${env.V}' AS v, b\n      FROM orders -- $${no}"), {
    V: 'zzz zz',
  })
})

test('offsets beyond the text stay inside the file', async () => {
  const { outline } = await load(good)
  const range = outline?.transforms[0]?.sqlRange(10_000, 20_000)
  assert.ok(range !== undefined && range.line >= 11 && range.line <= 15, JSON.stringify(range))
})
