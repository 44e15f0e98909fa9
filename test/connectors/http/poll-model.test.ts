/**
 * A server that changes under us, in every way and at every moment: rows come, change and go while pages
 * are read, requests fail, the source is stopped anywhere. In the end the log folds to what the server
 * has (invariants 2 and 5), and without faults nothing is written twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded, type Random } from '../../support/random.ts'
import { ApiServer, type Reply } from './api-server.ts'
import { Kept, Life } from './polling.ts'

interface Item {
  readonly id: number
  note: string
  /** Version of the whole when this was written. */
  version: number
}

/** Items in a list that grows at its end, and what clients may ask of it. */
class Shop {
  items: Item[] = []
  version = 0
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  change(mayDelete: boolean): void {
    const random = this.#random
    const { items } = this
    const kind = random.int(10)
    this.version++
    if (kind < 4 || items.length === 0) {
      items.push({ id: this.version, note: `n${random.int(100)}`, version: this.version })
    } else if (kind < 8 || !mayDelete) {
      const item = random.pick(items)
      item.note = `n${random.int(100)}`
      item.version = this.version
    } else items.splice(random.int(items.length), 1)
  }

  /** Pages by key (`after` an id), by offset, or by version. */
  page(query: URLSearchParams): Reply {
    const limit = 3
    const since = Number(query.get('since') ?? 0)
    const found =
      since === 0
        ? this.items
        : this.items
            .filter(({ version }) => version >= since)
            .toSorted((a, b) => a.version - b.version)
    const after = query.get('after')
    const from =
      after === null
        ? Number(query.get('offset') ?? 0)
        : found.findIndex(({ id }) => id > Number(after))
    const page = from < 0 ? [] : found.slice(from, from + limit)
    const isLast = from < 0 || from + limit >= found.length
    return { body: { items: page, next: isLast ? null : String(page.at(-1)!.id) } }
  }

  folded(): string[] {
    return this.items.map(({ id, note, version }) => `${id}|${note}|${version}`).sort()
  }
}

const schema = { id: 'int64', note: 'text', version: 'int64' }

const ways: Readonly<Record<string, { readonly config: object; readonly deletes: boolean }>> = {
  'whole listings by cursor': {
    config: {
      deletes: 'full_listing',
      deletes_max: 1,
      pagination: { type: 'cursor', next: '$.next', parameter: 'after' },
    },
    deletes: true,
  },
  'whole listings by offset': {
    config: {
      deletes: 'full_listing',
      deletes_max: 1,
      pagination: { type: 'offset', parameter: 'offset', size: 3 },
    },
    deletes: true,
  },
  'what is new by version': {
    config: { since: { field: 'version', parameter: 'since' } },
    deletes: false,
  },
}

for (const [way, { config: more, deletes }] of Object.entries(ways)) {
  test(`${way}: the log is what the server is`, async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 100_000)
    t.diagnostic(`SEED=${seed}`)
    const random = seeded(seed)
    const shop = new Shop(random)
    let isCalm = false
    await using server = await ApiServer.start(({ query }, response) => {
      if (isCalm) return pageOf(shop, query, more)
      for (let changes = random.int(3); changes > 0; changes--) shop.change(deletes)
      const luck = random.int(20)
      if (luck === 0) return { status: 503, headers: { 'retry-after': '0' } }
      if (luck === 1) return (response.destroy(), null)
      if (luck === 2) return { body: '{"items":[{"id":1' }
      return pageOf(shop, query, more)
    })
    const url = `${server.origin}/items`
    const config = {
      poll: { items: { url, every: '100ms', records: '$.items', schema, key: ['id'], ...more } },
    }
    const kept = new Kept()
    const context = { random: () => 0, clock: hurried() }
    for (let life = 0; life < 25; life++) {
      await using one = await Life.start(config, { kept, context })
      for (let batches = 1 + random.int(12); batches > 0; batches--) await one.next()
    }
    isCalm = true
    await using last = await Life.start(config, { kept, context })
    await last.runs('items', 4)
    assert.deepEqual(kept.folded('items'), shop.folded())
    assert.ok(kept.rows('items').length > 30)
    // Now nothing changes: nothing more is written.
    const written = kept.rows('items').length
    await last.runs('items', 3)
    assert.equal(kept.rows('items').length, written)
    // No version of a row was written twice.
    const rows = kept.rows('items').filter((text) => !text.startsWith('-'))
    if (!deletes) assert.equal(new Set(rows).size, rows.length)
  })
}

/** `since` comes in one page here, since what is sorted by version moves while it is read. */
function pageOf(shop: Shop, query: URLSearchParams, more: object): Reply {
  if (!('since' in more)) return shop.page(query)
  const since = Number(query.get('since') ?? 0)
  return { body: { items: shop.items.filter(({ version }) => version >= since), next: null } }
}

/** Real time, a hundred times as fast. */
function hurried() {
  const startMs = Date.now()
  return {
    nowMs: () => startMs + (Date.now() - startMs) * 100,
    sleep: async (ms: number, signal: AbortSignal) => {
      await new Promise((resolve) => setTimeout(resolve, Math.ceil(ms / 100)))
      signal.throwIfAborted()
    },
  }
}
