/** Every example is a pipeline file that `sluice validate` takes: nothing is missing but values of ${env.…}. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadChecked } from '../../bin/load.ts'

const folder = join(import.meta.dirname, '../../config/examples')

for (const name of readdirSync(folder)) {
  test(name, async () => {
    const { outline, problems } = await loadChecked(join(folder, name), true)
    assert.notEqual(outline, null)
    assert.deepEqual(
      problems.filter(({ code }) => code !== 'config.unresolved').map(({ message }) => message),
      [],
    )
  })
}
