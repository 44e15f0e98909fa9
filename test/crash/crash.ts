/**
 * One crash run: the real command line killed again and again, at random times and at its
 * failpoints, while writers write; at the end a judge. Attacks invariants 1 to 6.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SluiceProcess } from './pipeline.ts'
import { seeded } from '../support/random.ts'
import { Stage, type StageOptions } from './stage.ts'

export interface CrashOptions extends StageOptions {
  readonly kills: number
}

export interface CrashResult {
  readonly kills: number
  readonly rows: number
  readonly lost: number
  readonly doubled: number
  readonly disordered: number
  readonly seed: number
  readonly ok: boolean
}

/** Each durable step; every other kill is at one of them. */
const failpoints = [
  'log.commit.before_create',
  'log.commit.after_create',
  'log.segment.after_put',
  'log.snapshot.after_put',
  'log.fence.after_create',
  'ingest.after_commit',
  'ingest.after_ack',
  'transform.before_commit',
  'transform.after_commit',
  'deliver.after_plan',
  'deliver.before_send',
  'deliver.after_send',
] as const

export async function crashRun(options: CrashOptions): Promise<CrashResult> {
  const { kills, seed } = options
  await using stage = await Stage.start(options)
  const sluice = stage.process()
  try {
    await killing(stage, sluice, options)
    const rows = await stage.quiet()
    sluice.start()
    await stage.settle(sluice)
    const verdict = await stage.judge()
    const ok = verdict.lost + verdict.doubled + verdict.disordered === 0
    return { kills, rows, ...verdict, seed, ok }
  } catch (cause) {
    throw new Error(`crash run with seed ${seed} failed; sluice said:\n${stage.output}`, { cause })
  }
}

async function killing(
  stage: Stage,
  sluice: SluiceProcess,
  { kills, seed, say, serverKills, cuts }: CrashOptions,
): Promise<void> {
  const random = seeded(seed)
  for (let kill = 1; kill <= kills; kill++) {
    const failpoint = kill % 2 === 0 ? random.pick(failpoints) : null
    sluice.start(failpoint === null ? '' : `${failpoint}=${1 + random.int(4)}`)
    const patience = new AbortController()
    const pause = (ms: number): Promise<void> =>
      sleep(ms, undefined, patience).then(
        () => {},
        () => {},
      )
    // Most kills at a random time come while it works; on a busy machine its start alone takes seconds.
    const works = failpoint === null && random.chance(0.75) ? sluice.reads : Promise.resolve()
    const working = Promise.race([works, pause(8000)])
    // Sluice lives through it, and comes back to a server that has recovered.
    if (serverKills === true && kill % 4 === 1) {
      await working
      await stage.crashServer()
      say('the server was killed')
    }
    if (cuts === true && kill % 4 === 3) {
      await working
      await stage.cutConnections(random)
      say('the connections were cut')
    }
    // A failpoint that is not reached in time is a kill at a random time after all.
    const waited = working.then(() => pause(failpoint === null ? 50 + random.int(2500) : 4000))
    await Promise.race([waited, sluice.ended()])
    patience.abort()
    const { code } = await sluice.kill('SIGKILL')
    if (code !== null) throw new Error(`sluice ended by itself with exit code ${code}`)
    say(`kill ${kill} of ${kills}${failpoint === null ? '' : ` at ${failpoint}`}`)
  }
}
