/**
 * Rows that are pushed, with the real command line: a row that does not fit is shown as it was sent, and is
 * a row once the schema was mended. Attacks invariant 5 (nothing vanishes).
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort, tempDir, waitFor } from '../support/env.ts'
import { sluice, start, type Started } from './support.ts'

const yaml = (port: number, type: string): string => `version: 1
name: hooks
log: { url: file://./log }
server: { port: ${port} }
sources:
  web:
    type: http
    push:
      readings:
        path: /in/:device
        auth: none
        schema: { id: int64, celsius: '${type}' }
        columns: { device: path.device }
        on_bad_row: dead_letter
`

test('a bad row is shown as it was sent, and taken after its schema was mended', async () => {
  using folder = tempDir('push')
  const port = await freePort()
  const file = join(folder.path, 'hooks.yaml')
  const run = async (): Promise<Started> => {
    const started = start(['run', file, '--plain', '--port', '0'], {})
    try {
      await waitFor('the source', () => /ingest web {2}running/.test(started.stdout()))
      return started
    } catch (error) {
      started.child.kill('SIGKILL')
      throw error
    }
  }
  writeFileSync(file, yaml(port, 'int32'))
  const first = await run()
  try {
    const body = '[{"id":1,"celsius":20},{"id":2,"celsius":20.5}]'
    const answer = await fetch(`http://127.0.0.1:${port}/in/hall`, { method: 'POST', body })
    assert.deepEqual(await answer.json(), { accepted: 1, set_aside: 1 })
  } finally {
    first.child.kill('SIGKILL')
    await first.ended
  }
  const shown = await sluice(['dlq', 'show', file])
  assert.match(shown.stdout, /message +readings, row 1 of a request: celsius: expected int32/)
  assert.match(shown.stdout, /value = \{"id":2,"celsius":20\.5\}\n/)
  writeFileSync(file, yaml(port, 'decimal(6,2)'))
  const second = await run()
  try {
    assert.equal((await sluice(['dlq', 'retry', file, '--follow'])).code, 0)
    const { stdout } = await sluice(['tap', file, 'readings', '--format', 'jsonl'])
    const rows = stdout.split('\n').filter((line) => line !== '')
    assert.deepEqual(
      rows.map((line) => (JSON.parse(line) as { readonly row: object }).row),
      [
        { id: 1, celsius: 20, device: 'hall' },
        { id: 2, celsius: '20.50', device: 'hall' },
      ],
    )
  } finally {
    second.child.kill('SIGKILL')
    await second.ended
  }
})
