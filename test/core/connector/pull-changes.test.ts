/** The loop of a change stream: order and completeness (invariant 5), waits that end (invariant 8). */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pullChanges } from '../../../core/connector/pull-changes.ts'
import type { SourceBatch } from '../../../core/connector/source.ts'

function batchOf(id: string): SourceBatch {
  return { changes: [], transaction: { id, part: '' }, end: 'commit', position: null }
}

/**
 * Chunks of one byte: a small letter is a transaction that is gathered, a capital one is handed out at
 * once with what was gathered before it, and ! stands still until `goOn`.
 */
class Wire {
  readonly said: string[] = []
  out: SourceBatch[] = []
  busy = false
  nowMs = 1_000_000
  #standing = false
  #gathered = ''
  #chunks: string[]
  #chunk = ''
  #wake: (() => void) | null = null
  /** What happens while the loop waits, in order. */
  readonly #waits: ((wire: Wire) => void)[]

  constructor(text: string, waits: readonly ((wire: Wire) => void)[]) {
    this.#chunks = text.split('')
    this.#waits = [...waits]
  }

  pull(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const clock = { nowMs: () => this.nowMs, sleep: () => Promise.resolve() }
    const goOn = async (): Promise<void> => {
      this.said.push('goOn')
      this.#standing = false
    }
    return pullChanges({ socket: this, reader: this, decoder: this, goOn, clock }, signal)
  }

  more(text: string): void {
    this.#chunks.push(...text.split(''))
  }
  take(): Uint8Array | null {
    const chunk = this.#chunks.shift()
    return chunk === undefined ? null : Buffer.from(chunk)
  }
  async wait(): Promise<void> {
    const next = this.#waits.shift()
    if (next !== undefined) return next(this)
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }
  wake(): void {
    this.#wake?.()
  }

  give(chunk: Uint8Array): void {
    this.#chunk = Buffer.from(chunk).toString()
  }
  run(): boolean {
    if (this.#standing) return false
    const sign = this.#chunk
    this.#chunk = ''
    if (sign === '!') {
      this.#standing = true
      return false
    }
    this.#gathered += sign
    if (sign !== sign.toLowerCase()) this.flush()
    return true
  }
  get flushable(): boolean {
    return this.#gathered !== ''
  }
  flush(): void {
    if (this.#gathered !== '') this.out.push(batchOf(this.#gathered))
    this.#gathered = ''
  }
}

async function idsOf(wire: Wire, count: number): Promise<readonly string[]> {
  const ids: string[] = []
  for await (const { transaction } of wire.pull(new AbortController().signal)) {
    ids.push(transaction!.id)
    if (ids.length === count) break
  }
  return ids
}

it('gathers whole transactions while more is to come, and hands them out when it is not', async () => {
  const wire = new Wire('abCde', [(wire) => wire.more('fgH')])
  assert.deepEqual(await idsOf(wire, 3), ['abC', 'de', 'fgH'])
})

it('hands out all before a message that stands still before it goes on', async () => {
  const wire = new Wire('ab!cD', [])
  const seen: string[] = []
  wire.out = [batchOf('before')]
  for await (const { transaction } of wire.pull(new AbortController().signal)) {
    seen.push(`${transaction!.id} ${wire.said.join()}`)
    if (seen.length === 2) break
  }
  assert.deepEqual(seen, ['before ', 'abcD goOn'])
})

it('lets transactions wait for 10 ms under load, whatever the clock does', async () => {
  for (const jumpMs of [10, 3_600_000, -1, -3_600_000]) {
    const seen: string[] = []
    const wire = new Wire('a', [
      (wire) => {
        wire.nowMs += 9
        wire.more('b')
      },
      (wire) => {
        seen.push('not yet')
        wire.nowMs += jumpMs - 9
      },
    ])
    wire.busy = true
    assert.deepEqual([await idsOf(wire, 1), seen], [['ab'], ['not yet']], String(jumpMs))
  }
})

it('ends at once when aborted while it waits, with the signal’s reason', async () => {
  const stop = new AbortController()
  const waiting = new Wire('', []).pull(stop.signal).next()
  stop.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
})
