/**
 * Two processes on one pipeline: the older one sleeps (SIGSTOP) through the take-over and wakes.
 * Attacks invariant 4: it can commit nothing any more, it steps down, and nothing is lost or doubled.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Stage } from './stage.ts'

test('a process that slept through a take-over steps down (invariant 4)', async (t) => {
  await using stage = await Stage.start({
    seed: 4,
    settings: { wal_sender_timeout: '2s' },
    say: (text) => t.diagnostic(text),
  })
  const old = stage.process()
  old.start()
  await stage.firstRow()
  old.signal('SIGSTOP')
  const fresh = stage.process()
  fresh.start()
  await stage.goesOn()
  old.signal('SIGCONT')
  const end = await Promise.race([old.ended(), sleep(60_000, null, { ref: false })])
  assert.equal(end?.code, 1, `the old process did not step down: ${old.output}`)
  assert.match(old.output, /log\.fenced/)
  assert.ok(fresh.running, fresh.output)
  await stage.quiet()
  await stage.settle(fresh)
  const verdict = await stage.judge()
  assert.deepEqual(verdict, { lost: 0, doubled: 0, disordered: 0 })
})
