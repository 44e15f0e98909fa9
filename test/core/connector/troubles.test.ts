/**
 * Parts of a source in trouble, on show. Attacks invariant 8 (bounded): what is well again, or belongs to a
 * source that ended, is not on show for ever.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger, StatusReport } from '../../../core/connector/context.ts'
import { Troubles } from '../../../core/connector/troubles.ts'
import { SluiceError } from '../../../core/errors/error.ts'

function stage(): {
  readonly troubles: Troubles
  readonly shown: Map<string, string>
  readonly logged: string[]
  readonly status: () => StatusReport
} {
  const shown = new Map<string, string>()
  const logged: string[] = []
  let last: StatusReport = { state: 'running', detail: '' }
  const log: Logger['info'] = (message, fields) =>
    void logged.push(`${message} ${fields?.['about']}`)
  const troubles = new Troubles({
    logger: { debug: log, info: log, warn: log, error: log },
    report: (status) => (last = { ...last, ...status }),
    trouble: (error, about = '') => {
      if (error === null) shown.delete(about)
      else shown.set(about, error.message)
    },
  })
  return { troubles, shown, logged, status: () => last }
}

const failure = (message: string): SluiceError =>
  new SluiceError('source.kafka.unreachable', { message })

test('each part is on show with its newest reason until it is well', () => {
  const { troubles, shown, logged, status } = stage()
  troubles.clear('a')
  troubles.set('a', failure('one'))
  troubles.set('a', failure('two'))
  troubles.set('b', failure('three'))
  assert.deepEqual(
    [...shown],
    [
      ['a', 'two'],
      ['b', 'three'],
    ],
  )
  assert.deepEqual(status(), { state: 'retrying', detail: 'a and 1 more' })
  troubles.clear('a')
  assert.deepEqual(status(), { state: 'retrying', detail: 'b' })
  troubles.clear('b')
  assert.deepEqual(status(), { state: 'running', detail: '' })
  assert.deepEqual([...shown], [])
  assert.deepEqual(logged, ['trying again a', 'trying again b', 'goes on a', 'goes on b'])
})

test('what nobody but the operator can mend is not said to be tried again', () => {
  const { troubles, logged } = stage()
  troubles.set('a', new SluiceError('source.kafka.registry_auth', { message: 'no' }))
  assert.deepEqual(logged, ['waits for its cure a'])
})

test('a source that ends takes its own away, and says nothing of its state', () => {
  const { troubles, shown, status } = stage()
  troubles.set('a', failure('one'))
  troubles[Symbol.dispose]()
  assert.deepEqual([...shown], [])
  // Whoever runs it says why it ended.
  assert.deepEqual(status(), { state: 'retrying', detail: 'a' })
})
