/**
 * Events of many addresses through the deliver loop, alone and several a request, with random failures:
 * each arrives where its row says and nowhere else, those of a key in order, and none vanishes (invariant 5).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  seeded,
  startReceiver,
  type Answer,
  type Received,
  type WebhookEvent,
} from '../../services/webhook-receiver.ts'
import { waitFor } from '../../support/env.ts'
import { lettersOf, notesOf } from '../../support/letters.ts'
import { writeTopics } from '../../support/scripted-sink.ts'
import { testLog } from '../../support/task-context.ts'
import { deliverHooks, leapClock } from './deliver-support.ts'
import { batchOf, secret, type Change } from './support.ts'

interface Plan {
  /** Of each event its key and its tenant, which may be another one each time. */
  readonly events: readonly (readonly [key: number, tenant: number])[]
  readonly where: 'path' | 'query' | 'header'
  readonly together: boolean
  readonly seed: number
  readonly rate: number
}

const plans: fc.Arbitrary<Plan> = fc.record({
  events: fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 3 })), {
    minLength: 1,
    maxLength: 40,
  }),
  where: fc.constantFrom('path' as const, 'query' as const, 'header' as const),
  together: fc.boolean(),
  seed: fc.nat(),
  rate: fc.constantFrom(0, 0.2, 0.5),
})

type Part = WebhookEvent & { readonly id?: string }

function partsOf({ event, text }: Received): readonly Part[] {
  return event.type === 'batch' ? (JSON.parse(text) as { data: Part[] }).data : [event]
}

function tenantOf({ path, headers }: Received, where: Plan['where']): unknown {
  if (where === 'header') return headers['x-tenant']
  return where === 'path' ? path.split('/').at(-1) : new URL(path, 'http://h').searchParams.get('t')
}

function failureOf(request: Received, random: () => number): Answer {
  const [first] = partsOf(request)
  const named = { rejected: [first?.id ?? ''] }
  const failures: readonly Answer[] = [
    { status: 500 },
    { status: 429 },
    { status: 422 },
    { drop: 'unseen' },
    { drop: 'answerless' },
    { status: 200, delayMs: 120 },
    { status: 200, body: JSON.stringify(named) },
  ]
  return failures[Math.floor(random() * failures.length)]!
}

async function run(plan: Plan): Promise<void> {
  const { where, together } = plan
  const random = seeded(plan.seed)
  const log = await testLog()
  const clock = leapClock()
  await using receiver = await startReceiver({
    secret,
    anyTime: true,
    behaviour: (request) => (random() < plan.rate ? failureOf(request, random) : undefined),
  })
  const changes = plan.events.map(([key, tenant]): Change => ['+', 'update', key, `t${tenant}`])
  const url = {
    path: `${receiver.url}/{name}`,
    query: `${receiver.url}?t={name}`,
    header: receiver.url,
  }
  const config = {
    retry: { attempts: 100, base: '1ms', max: '5ms' },
    max_in_flight: 8,
    ...(together ? { batch: { events: 5, wait: '5ms' } } : {}),
    ...(where === 'header' ? { headers: { 'x-tenant': '{name}' } } : {}),
  }
  {
    await using _hooks = deliverHooks(log, url[where], config, { clock })
    await writeTopics(log, { kind: 'rows', topic: 's.t', batch: batchOf(changes) })
    await waitFor('the end', async () => {
      clock.pass(1000)
      const done = (await notesOf(log))?.topics['s.t']?.done === changes.length
      return done && (await lettersOf(log)).every(({ state }) => state === 'open')
    })
  }
  const over = new Set((await lettersOf(log)).map(({ offset }) => offset))
  const newest = new Map<unknown, number>()
  for (const request of receiver.requests) {
    for (const { data } of partsOf(request)) {
      assert.equal(tenantOf(request, where), data?.['name'], `${where} of another tenant`)
    }
  }
  for (const request of receiver.taken) {
    for (const { data, offset } of partsOf(request)) {
      const last = newest.get(data?.['id']) ?? -1
      assert.ok(offset >= last, `offset ${offset} after ${last} of key ${String(data?.['id'])}`)
      newest.set(data?.['id'], offset)
      over.add(offset)
    }
  }
  assert.equal(over.size, changes.length)
}

test('each event goes to the address of its row, in the order of its key, or is a letter', async () => {
  await fc.assert(fc.asyncProperty(plans, run), { numRuns: 40 })
})
