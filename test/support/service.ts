/** Services that tests cannot do without: where one cannot be had, its tests are skipped loudly (see missingService). */
import { after, before, test, type TestContext } from 'node:test'
import { missingService } from './env.ts'

/** A service for one test; null where the test is skipped. */
export async function startOrSkip<S>(
  t: TestContext,
  what: string,
  start: () => Promise<S>,
): Promise<S | null> {
  try {
    return await start()
  } catch (error) {
    missingService(t, what, error)
    return null
  }
}

export interface SharedService<S> {
  /** Null before the tests begin, and where it cannot be had. */
  readonly running: S | null
  /** The same for tests of `test`, which run only while it is there. */
  readonly server: S
  readonly test: (name: string, body: (server: S) => Promise<void>) => void
}

/** One service for the tests of a file, or of the `describe` that this is called in; it ends with them. */
export function sharedService<S extends AsyncDisposable>(
  what: string,
  start: () => Promise<S>,
): SharedService<S> {
  let running: S | null = null
  let missing: unknown
  before(async () => {
    try {
      running = await start()
    } catch (error) {
      missing = error
    }
  })
  after(() => running?.[Symbol.asyncDispose]())
  return {
    get running(): S | null {
      return running
    },
    get server(): S {
      if (running === null) throw new Error(`${what} is not running`)
      return running
    },
    test: (name, body) => {
      void test(name, (t) => (running === null ? missingService(t, what, missing) : body(running)))
    },
  }
}
