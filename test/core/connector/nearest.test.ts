/** The name that somebody probably meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest, nearestTable, type TableNames } from '../../../core/connector/nearest.ts'

test('the nearest name is the one meant, or none', () => {
  assert.equal(nearest('tabels', ['url', 'tables', 'slot']), 'tables')
  assert.equal(nearest('Tables', ['url', 'tables']), 'tables')
  assert.equal(nearest('ulr', ['slot', 'url']), 'url')
  assert.equal(nearest('colour', ['url', 'tables']), null)
  assert.equal(nearest('x'.repeat(10_000), ['x']), null)
  assert.equal(nearest('a', []), null)
  assert.equal(nearest('Shop', ['shop', 'SHOP', 'Shop']), 'Shop')
})

test('the nearest table is of that space, else of the nearest one', async () => {
  const all = new Map([
    ['shop', ['orders', 'customers']],
    ['Shop', []],
    ['billing', ['invoices']],
  ])
  const names: TableNames = {
    spaces: () => Promise.resolve([...all.keys()]),
    tables: (space) => Promise.resolve(all.get(space)!),
  }
  const near = (space: string, name: string | null) => nearestTable({ space, name }, names)
  assert.deepEqual(await near('shop', 'order'), { space: 'shop', name: 'orders' })
  assert.deepEqual(await near('shop', 'Orders'), { space: 'shop', name: 'orders' })
  assert.deepEqual(await near('biling', 'invoices'), { space: 'billing', name: 'invoices' })
  assert.deepEqual(await near('biling', null), { space: 'billing', name: null })
  assert.equal(await near('shop', 'payments'), null)
  assert.equal(await near('Shop', 'orders'), null)
  assert.equal(await near('Shop', null), null)
  assert.equal(await near('elsewhere', 'orders'), null)
})
