/**
 * kill -9 at each durable step of rows that wait, with batches under way ahead of one that is held up:
 * every event is taken, under one webhook-id, each key's in their order, and none waits for ever
 * (invariants 2, 5, 6). With timers in the process, and in a Redis that may be emptied in between.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startRedis } from '../services/redis.ts'
import { tempDir } from '../support/env.ts'
import { sharedService } from '../support/service.ts'
import {
  deliverAll,
  deliverAndDie,
  Endpoint,
  rounds,
  stateOf,
  writeLog,
  type Holds,
  type State,
} from './waiting.ts'

interface Death {
  /** `name=n`: the process is killed when it passes the place for the n-th time. */
  readonly at: string
  /** What the log says then, so that the death is known to stand where it is meant to. */
  readonly left: (state: State) => boolean
}

/** One log, and how those who deliver it die, one after the other. */
interface Life {
  readonly deaths: readonly Death[]
  readonly holds?: Holds
}

const nonePassed =
  (batches: number) =>
  ({ passed, planned }: State): boolean =>
    passed === 0 && planned === batches
/** What the cursor has passed and was not taken waits: one commit says both. */
const aside = ({ passed, over }: State): boolean => passed > 0 && over === 0
const asideBesideAhead = ({ passed, planned, over }: State): boolean =>
  passed === 1 && planned > 0 && over === 0
const someTaken = ({ waiting, over }: State): boolean => waiting > 0 && over > 0

// Each plan is a commit; the one after them sets rows aside.
const setAside = rounds + 1
const ahead: Death = { at: 'deliver.after_plan=3', left: nonePassed(3) }
const landing: Death = { at: 'deliver.after_send=1', left: nonePassed(rounds) }
const beforeAside: Death = { at: `log.commit.before_create=${setAside}`, left: nonePassed(rounds) }
const afterAside: Death = { at: `log.commit.after_create=${setAside}`, left: aside }
const afterSend: Death = { at: 'waiting.after_send=1', left: aside }
const afterCommit: Death = { at: 'waiting.after_commit=1', left: aside }
const sendBesideAhead: Death = { at: 'waiting.after_send=1', left: asideBesideAhead }
const commitBesideAhead: Death = { at: 'waiting.after_commit=1', left: asideBesideAhead }
// Two failures more of each key come first, and at most three keys are under way.
const laterSend: Death = { at: 'waiting.after_send=10', left: someTaken }
const laterCommit: Death = { at: 'waiting.after_commit=10', left: someTaken }

const inProcess: readonly Life[] = [
  { deaths: [beforeAside] },
  { deaths: [afterAside] },
  { deaths: [landing, afterSend] },
  { deaths: [afterCommit, laterSend] },
  { deaths: [ahead, laterCommit] },
  { deaths: [sendBesideAhead], holds: 'one waited' },
  { deaths: [commitBesideAhead, laterCommit], holds: 'one waited' },
]
const onRedis: readonly (Life & { readonly emptied: boolean })[] = [
  { deaths: [afterAside], emptied: true },
  { deaths: [landing, afterSend], emptied: false },
  { deaths: [afterCommit], emptied: true },
  { deaths: [afterCommit], emptied: false },
  { deaths: [sendBesideAhead], holds: 'one waited', emptied: true },
]

async function survives(
  { deaths, holds = 'all sent' }: Life,
  timers: string | null,
  between: () => Promise<void>,
): Promise<void> {
  using folder = tempDir('waiting')
  await using endpoint = await Endpoint.start(holds)
  const place = { folder: folder.path, url: endpoint.url, timers }
  await writeLog(place.folder)
  for (const { at, left } of deaths) {
    await deliverAndDie(place, at)
    const state = await stateOf(place)
    assert.ok(left(state), `${at} left ${JSON.stringify(state)}`)
    await between()
  }
  await deliverAll(place, endpoint)
  endpoint.judge()
}

function nameOf({ deaths, holds }: Life): string {
  const places = deaths.map(({ at }) => at).join(', then ')
  return holds === undefined ? places : `${places}, beside batches ahead`
}

// Most of the time is waited for.
describe('timers in the process', { concurrency: 3 }, () => {
  for (const life of inProcess) {
    test(nameOf(life), () => survives(life, null, async () => {}))
  }
})

describe('timers on Redis', { concurrency: 3 }, () => {
  const suite = sharedService('Redis', () => startRedis())
  for (const [index, life] of onRedis.entries()) {
    suite.test(`${nameOf(life)}${life.emptied ? ', emptied' : ''}`, async (redis) => {
      const cli = (...words: string[]): Promise<string> => redis.cli('-n', String(index), ...words)
      await survives(life, `${redis.url}/${index}`, async () => {
        if (life.emptied) await cli('flushdb')
      })
      const told = await cli('xlen', 'bull:sluice.p.k:events')
      assert.ok(Number(told) > 0, 'timers were set by whoever came after')
    })
  }
})
