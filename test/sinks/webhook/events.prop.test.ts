/**
 * Rows to events and lanes. Attacks invariant 5 (each row in exactly one event) and the promise of
 * order: an endpoint that applies events as they come, lanes interleaved in any way, ends with the
 * rows of the source.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  planEvents,
  planLanes,
  type ChangeEvent,
  type Lane,
} from '../../../sinks/webhook/events.ts'
import { eventKinds, type EventKind } from '../../../sinks/webhook/config.ts'
import { anyBatch } from '../../support/batches.ts'
import { batchOf, type Change } from './support.ts'

const everything: ReadonlySet<EventKind> = new Set(eventKinds)

interface Step {
  readonly kind: 'put' | 'remove' | 'move'
  readonly id: number
  readonly to: number
  readonly name: string
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('put' as const, 'remove' as const, 'move' as const),
    id: fc.nat({ max: 5 }),
    to: fc.nat({ max: 5 }),
    name: fc.string({ maxLength: 3 }),
  }),
  { maxLength: 40 },
)

/** A history as a source would tell it, beside the table it ends with. */
function history(
  steps: readonly Step[],
  changelog: 'upsert' | 'retract',
): { readonly changes: readonly Change[]; readonly table: ReadonlyMap<number, string> } {
  const table = new Map<number, string>()
  const changes: Change[] = []
  /** What a −1 row says beside its key: all of the old row, or nothing. */
  const old = (id: number): string | null => (changelog === 'retract' ? table.get(id)! : null)
  for (const { kind, id, to, name } of steps) {
    if (kind === 'put' && !table.has(id)) {
      changes.push(['+', 'insert', id, name])
      table.set(id, name)
    } else if (kind === 'put') {
      if (changelog === 'retract') changes.push(['-', 'update', id, old(id)])
      changes.push(['+', 'update', id, name])
      table.set(id, name)
    } else if (kind === 'remove' && table.has(id)) {
      changes.push(['-', 'delete', id, old(id)])
      table.delete(id)
    } else if (kind === 'move' && table.has(id) && !table.has(to)) {
      changes.push(['-', 'update', id, old(id)], ['+', 'update', to, name])
      table.delete(id)
      table.set(to, name)
    }
  }
  return { changes, table }
}

function apply(rows: Map<number, string>, changes: readonly Change[], event: ChangeEvent): void {
  const [, , id, name] = changes[event.row]!
  if (event.kind === 'delete') rows.delete(id)
  else rows.set(id, name ?? '')
  if (event.previous >= 0) assert.equal(changes[event.previous]![2], id, 'old row of another key')
}

/** Events of all lanes in one order that keeps each lane's own, chosen by `picks`. */
function* interleave(lanes: readonly Lane[], picks: readonly number[]): Generator<ChangeEvent> {
  const left = lanes.map(({ events }) => [...events])
  for (let i = 0; left.some((lane) => lane.length > 0); i++) {
    const open = left.filter((lane) => lane.length > 0)
    yield open[(picks[i % picks.length] ?? 0) % open.length]!.shift()!
  }
}

const picks = fc.array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 40 })

for (const changelog of ['upsert', 'retract'] as const) {
  test(`${changelog}: per-key lanes in any interleaving end with the source's rows`, () => {
    fc.assert(
      fc.property(steps, picks, (steps, picks) => {
        const { changes, table } = history(steps, changelog)
        const lanes = planLanes(batchOf(changes, { changelog }), 'per-key', everything)
        const rows = new Map<number, string>()
        for (const event of interleave(lanes, picks)) apply(rows, changes, event)
        assert.deepEqual([...rows].sort(byId), [...table].sort(byId))
      }),
    )
  })

  test(`${changelog}: each row is in exactly one event, in the order of the rows (invariant 5)`, () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const { changes } = history(steps, changelog)
        const events = planEvents(batchOf(changes, { changelog }))
        const rows = events.flatMap(({ row, previous }) => (previous < 0 ? [row] : [previous, row]))
        assert.deepEqual(
          rows.toSorted((a, b) => a - b),
          changes.map((_, row) => row),
        )
        const order = events.map(({ row }) => row)
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        )
        assert.deepEqual(
          planLanes(batchOf(changes, { changelog }), 'strict', everything).flatMap(
            (lane) => lane.events,
          ),
          events,
        )
      }),
    )
  })
}

function byId(a: readonly [number, string], b: readonly [number, string]): number {
  return a[0] - b[0]
}

function kinds(changes: readonly Change[], options: Parameters<typeof batchOf>[1]): string[] {
  return planEvents(batchOf(changes, options)).map(
    ({ kind, row, previous }) => `${kind} ${row}${previous < 0 ? '' : ` was ${previous}`}`,
  )
}

test('an update of a retract topic is one event, also when other keys stand between', () => {
  const changes: readonly Change[] = [
    ['-', 'update', 1, 'a'],
    ['-', 'update', 2, 'x'],
    ['+', 'update', 1, 'b'],
    ['+', 'update', 2, 'y'],
  ]
  assert.deepEqual(kinds(changes, { changelog: 'retract' }), ['update 2 was 0', 'update 3 was 1'])
})

test('a key change is a delete and an update, in upsert and retract topics alike', () => {
  const changes: readonly Change[] = [
    ['-', 'update', 1, 'a'],
    ['+', 'update', 2, 'a'],
  ]
  for (const changelog of ['upsert', 'retract'] as const)
    assert.deepEqual(kinds(changes, { changelog }), ['delete 0', 'update 1'])
})

test("a transform's new value is an update, whatever took the old one away", () => {
  assert.deepEqual(kinds([['+', 'delete', 1, 'count 3']], {}), ['update 0'])
})

test('without a key: append rows side by side, retract rows one after the other', () => {
  const changes: readonly Change[] = [
    ['-', 'update', 1, 'a'],
    ['+', 'update', 1, 'b'],
    ['-', 'delete', 1, 'b'],
  ]
  const retract = { changelog: 'retract', keyed: false } as const
  assert.deepEqual(kinds(changes, retract), ['update 1 was 0', 'delete 2'])
  assert.equal(planLanes(batchOf(changes, retract), 'per-key', everything).length, 1)
  const inserts: readonly Change[] = [
    ['+', 'insert', 1, 'a'],
    ['+', 'insert', 1, 'a'],
  ]
  const append = { changelog: 'append', keyed: false } as const
  assert.equal(planLanes(batchOf(inserts, append), 'per-key', everything).length, 2)
})

test('kinds that nobody wants are passed over, and order none has a lane per event', () => {
  const changes: readonly Change[] = [
    ['+', 'snapshot', 1, 'a'],
    ['+', 'update', 1, 'b'],
    ['+', 'update', 1, 'c'],
  ]
  const changesOnly: ReadonlySet<EventKind> = new Set(['insert', 'update', 'delete'])
  assert.deepEqual(
    planLanes(batchOf(changes), 'per-key', changesOnly).map(({ events }) =>
      events.map(({ row }) => row),
    ),
    [[1, 2]],
  )
  assert.equal(planLanes(batchOf(changes), 'none', everything).length, 3)
})

test('any batch of any schema: each row in exactly one event, each event in exactly one lane', () => {
  const orders = fc.constantFrom('per-key' as const, 'strict' as const, 'none' as const)
  fc.assert(
    fc.property(anyBatch({ rowsMax: 30 }), orders, (batch, order) => {
      const lanes = planLanes(batch, order, everything)
      const rows = lanes
        .flatMap(({ events }) => events)
        .flatMap(({ row, previous }) => (previous < 0 ? [row] : [previous, row]))
      assert.deepEqual(
        rows.toSorted((a, b) => a - b),
        Array.from({ length: batch.rows }, (_, row) => row),
      )
      for (const { events } of lanes)
        assert.deepEqual(
          events,
          events.toSorted((a, b) => a.row - b.row),
        )
    }),
  )
})
