/**
 * Every test of the PostgreSQL source that needs a server, on every major that is supported: stream,
 * copy with crashes, all types, conformance, preflight, trouble with slots. Each file runs as a process
 * of its own, as it does by itself.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { postgresMajors } from '../../services/postgres.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const files = globSync('*.it.test.ts', { cwd: here }).sort()

for (const major of await postgresMajors(14, 15, 16, 17, 18)) {
  describe(`PostgreSQL ${major}`, () => {
    for (const file of files) {
      it(file, async () => {
        const { NODE_TEST_CONTEXT: _, ...env } = process.env
        // As a test of a test runner would, it would report to the one above, and not say what failed.
        const child = spawn(process.execPath, ['--test', '--test-reporter=tap', here + file], {
          env: { ...env, SLUICE_TEST_POSTGRES: String(major) },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        let output = ''
        child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
        const [code] = (await once(child, 'close')) as [number | null]
        assert.equal(code, 0, output)
        assert.match(output, /^# pass [1-9]/m, output)
      })
    }
  })
}
