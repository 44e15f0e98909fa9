/** Which dead letters a filter on the command line means. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withHalves } from '../../bin/letter-filter.ts'
import type { LetterEntry } from '../../core/task/dead-letter-entry.ts'
import type { ListedLetter } from '../../core/task/letter-list.ts'
import { numberRows } from '../support/number-rows.ts'

test('of an update both halves are chosen together', () => {
  const letter = (offset: number, op: string, weight: number): ListedLetter => {
    const entry = { topic: 's.t', letter: offset, offset, op, weight } as unknown as LetterEntry
    return { task: { kind: 'deliver', name: 'k' }, entry, batch: numberRows([1]), row: 0 }
  }
  const all = [
    letter(1, 'update', -1),
    letter(2, 'update', 1),
    letter(3, 'insert', 1),
    letter(4, 'delete', -1),
    letter(5, 'update', 1),
  ]
  const chosen = (...offsets: readonly number[]): number[] =>
    withHalves({ chosen: all.filter(({ entry }) => offsets.includes(entry.letter)), all })
      .map(({ entry }) => entry.letter)
      .toSorted((a, b) => a - b)
  assert.deepEqual(chosen(1), [1, 2])
  assert.deepEqual(chosen(2, 3), [1, 2, 3])
  assert.deepEqual(chosen(4), [4])
  assert.deepEqual(chosen(5), [5], 'its old row was taken')
})
