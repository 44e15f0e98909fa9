/** The row memory when its folder is taken. Attacks invariant 4's other side: a take-over never waits for the old process. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { RowMemory } from '../../../core/task/row-memory.ts'
import { tempDir } from '../../support/env.ts'

const values = new Map([['note', Buffer.from('text')]])

test('a folder that another holds is left to it, and used again once it is free', async () => {
  using dir = tempDir('row-memory')
  const folder = join(dir.path, 'memory')
  {
    await using first = await RowMemory.open(folder)
    await first.remember('t')
    await first.apply([['t', 'key', values]], new Map([['t', 5]]))
    await using second = await RowMemory.open(folder)
    assert.deepEqual(await second.topics(), [], 'the second begins with nothing')
    assert.equal(await second.cursor('t'), 1)
    await second.apply([['t', 'key', null]], new Map([['t', 9]]))
    assert.equal(String((await first.get('t', 'key'))?.get('note')), 'text')
  }
  await using again = await RowMemory.open(folder)
  assert.equal(await again.cursor('t'), 5)
  assert.equal(String((await again.get('t', 'key'))?.get('note')), 'text')
})
