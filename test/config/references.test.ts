/** `${…}`: resolved on scalars, never on text; what they give is never YAML again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { References } from '../../config/references.ts'
import { brief, configOf, filesOf, good, load } from './support.ts'

const references = new References(
  'folder/shop.yaml',
  { A: 'one', EMPTY: '', NESTED: '${env.A}' },
  filesOf({
    'folder/secrets/key': 'from file\n',
    'folder/crlf': 'x\r\n',
    binary: new Uint8Array([255]),
  }),
)
const resolved = async (text: string): Promise<string | null> =>
  (await references.resolve(text)).text

test('variables, defaults, files, escapes', async () => {
  for (const [text, expected] of [
    ['${env.A}', 'one'],
    ['<${env.A}|${env.A}>', '<one|one>'],
    ['${env.A:-two}', 'one'],
    ['${env.NOPE:-two}', 'two'],
    ['${env.NOPE:-}', ''],
    ['${env.EMPTY:-two}', 'two'],
    ['${env.EMPTY}', ''],
    ['${env.NESTED}', '${env.A}'],
    ['${file.secrets/key}', 'from file'],
    ['${file../folder/crlf}', 'x'],
    ['${file.nope:-d}', 'd'],
    ['$${env.A}', '${env.A}'],
    ['$$${env.A}', '$${env.A}'],
    ['costs $5 and {x}', 'costs $5 and {x}'],
    ['${env.NOPE}', null],
    ['${env.toString}', null],
    ['${file.binary}', null],
    ['${vault.x}', null],
    ['${A}', null],
    ['${}', null],
    ['${env.A', null],
  ] as const) {
    assert.equal(await resolved(text), expected, text)
  }
})

test('a reference that is not one says what to write', async () => {
  const { issues } = await references.resolve('${PG_URL}')
  assert.equal(issues[0]?.code, 'config.bad_reference')
  assert.equal(issues[0].suggestion, 'did you mean "${env.PG_URL}"?')
})

test('unquoted inside flow mappings, as in `{ url: ${env.X} }`', async () => {
  const yaml = good.replace('url: https://example.com', 'url: ${env.U:-https://a.example/?x=[1,2]}')
  const result = await load(yaml)
  assert.deepEqual(result.problems, [])
  assert.equal(String(configOf(result, 'sinks').url), 'https://a.example/?x=[1,2]')
})

test('in comments and keys they mean nothing', async () => {
  const yaml = `# \${env.NOPE} \${oops\n${good.replace('name: shop', 'name: shop # ${nope}')}`
  assert.deepEqual((await load(yaml)).problems, [])
  const key = await load(good.replace('  revenue:', '  ${env.A}:'))
  assert.ok(brief(key.problems).some((text) => text.includes('config.invalid_name')))
})

test('a value cannot change the structure of the file', async () => {
  const yaml = good.replace('toy://user:hunter2@host', '${env.PG_URL}')
  const evil = 'x\n    tables: [evil]\nsinks: {}\n# "\' {['
  const result = await load(yaml, { env: { PG_URL: evil } })
  assert.deepEqual(result.problems, [])
  assert.equal(configOf(result, 'sources').url.reveal(), evil)
})

test('numbers and switches may come from a reference, unless it is quoted', async () => {
  const port = (text: string): string =>
    good.replace('    tables:', `    port: ${text}\n    tables:`)
  const typed = await load(port('${env.PORT}'), { env: { PORT: '6000' } })
  assert.deepEqual(typed.problems, [])
  assert.equal(configOf(typed, 'sources').port, 6000)
  const allow = good.replace('from: [', 'allow_http: ${env.H:-true}, from: [')
  const flag = await load(allow)
  assert.equal(configOf(flag, 'sinks').allow_http, true)
  const quoted = await load(port('"${env.PORT}"'), { env: { PORT: '6000' } })
  assert.deepEqual(brief(quoted.problems), ['8:11 config.wrong_type sources.shop.port'])
  const wrong = await load(port('${env.PORT}'), { env: { PORT: 'six' } })
  assert.deepEqual(brief(wrong.problems), ['8:11 config.wrong_type sources.shop.port'])
  // Where text is wanted it stays text: 12345 is a fine password.
  const text = await load(good.replace('toy://user:hunter2@host', '${env.P}'), {
    env: { P: '12345' },
  })
  assert.equal(configOf(text, 'sources').url.reveal(), '12345')
})
