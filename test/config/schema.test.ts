/** The JSON Schema for editors comes from the schemas that check the file, and knows about secrets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipelineJsonSchema } from '../../config/schema.ts'
import { isSecretAt, keysAt, schemasAt } from '../../config/json-schema.ts'
import { sources } from '../../connectors/index.ts'
import { sinks } from '../../sinks/index.ts'
import { toyRegisters } from './toy.ts'

test('every source and sink is described, with its own keys and the common ones', async () => {
  const schema = await pipelineJsonSchema({ sources, sinks })
  assert.deepEqual(keysAt(schema, []), [
    'version',
    'name',
    'log',
    'server',
    'sources',
    'transforms',
    'sinks',
  ])
  assert.ok(keysAt(schema, ['sources', 'x']).includes('tables'))
  for (const key of ['type', 'from', 'url', 'allow_private', 'create_tables']) {
    assert.ok(keysAt(schema, ['sinks', 'x']).includes(key), key)
  }
  const described = schemasAt(schema, ['sources', 'x', 'tables']).some((one) => one.description)
  assert.ok(described)
})

test('secrets are write-only and no marker of ours is left', async () => {
  const schema = await pipelineJsonSchema({ sources, sinks })
  assert.ok(isSecretAt(schema, ['sources', 'x', 'url']))
  assert.ok(isSecretAt(schema, ['log', 'secret_access_key']))
  assert.ok(!isSecretAt(schema, ['log', 'url']))
  assert.ok(!JSON.stringify(schema).includes('"secret":true'))
})

test('an editor may write a reference where a number or a switch stands', async () => {
  const schema = await pipelineJsonSchema(toyRegisters)
  const port = schemasAt(schema, ['sources', 'x', 'port'])
  assert.ok(port.some((one) => one.type === 'integer'))
  assert.ok(port.some((one) => one.type === 'string' && one.pattern === '\\$\\{'))
  assert.equal(port[0]?.default, 5432)
})

test('it is plain JSON, the same each time', async () => {
  const [one, two] = [
    await pipelineJsonSchema(toyRegisters),
    await pipelineJsonSchema(toyRegisters),
  ]
  assert.equal(JSON.stringify(one), JSON.stringify(two))
  assert.deepEqual(JSON.parse(JSON.stringify(one)), one)
})
