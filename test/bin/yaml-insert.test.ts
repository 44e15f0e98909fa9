/** One more entry in a YAML file; every other byte stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { insertMapping } from '../../bin/yaml-insert.ts'

const columns = { id: 'int64', 'a b': 'decimal(12,2)?', no: 'text' }
const written = { id: 'int64', 'a b': 'decimal(12,2)?', no: 'text' }

function inserted(text: string, path: readonly string[]): string {
  const result = insertMapping(text, path, 'schema', columns)
  assert.ok(result !== null)
  // Everything else is there as it was: without the new lines it is the text of before.
  const added = result.split('\n').filter((line) => !text.split('\n').includes(line))
  assert.equal(added.length, 4)
  const rest = result.split('\n').filter((line) => !added.includes(line))
  assert.equal(rest.join('\n'), text)
  return result
}

test('below the last entry of the mapping, in its own indentation', () => {
  const text = `# A file.
sources:
    events:   # ours
        type: kafka
        topics: # two
            orders:
                format: json   # as ever

                key: [id] # upsert

            # the other
            clicks: { format: json }
sinks: {}
`
  const result = inserted(text, ['sources', 'events', 'topics', 'orders'])
  const { sources } = parse(result) as { sources: { events: { topics: { orders: unknown } } } }
  assert.deepEqual(sources.events.topics.orders, { format: 'json', key: ['id'], schema: written })
  const whole = parse(inserted(text, ['sources', 'events'])) as typeof sources & {
    sources: { events: { schema: unknown; topics: object } }
  }
  assert.deepEqual(whole.sources.events.schema, written)
  assert.deepEqual(Object.keys(whole.sources.events.topics), ['orders', 'clicks'])
})

test('at the end of a file without a last line feed, after lists, texts over lines and nothing', () => {
  for (const last of [
    'topics: [a]',
    'topics:\n    - a\n    - b',
    'note: |\n      two\n      lines',
    'x:',
  ]) {
    for (const end of ['', '\n']) {
      const text = `sources:\n  events:\n    type: kafka\n    ${last}${end}`
      const { sources } = parse(inserted(text, ['sources', 'events'])) as {
        sources: { events: { schema: unknown; type: string } }
      }
      assert.deepEqual(sources.events.schema, written, JSON.stringify(text))
      assert.equal(sources.events.type, 'kafka')
    }
  }
})

test('not where it cannot be told apart from what is there', () => {
  const add = (text: string, path: readonly string[]) =>
    insertMapping(text, path, 'schema', columns)
  assert.equal(add('a: { b: 1 }', ['a']), null)
  assert.equal(add('a:\n  schema: {}\n', ['a']), null)
  assert.equal(add('a: 1', ['a']), null)
  assert.equal(add('a: 1', ['b']), null)
})
