/** A task's context over a real log in memory or in a folder, for tests of the loops. */
import { openLog, type Log } from '../../core/log/log.ts'
import { openStore } from '../../core/store/open.ts'
import type { SluiceError } from '../../core/errors/error.ts'
import type { TaskContext } from '../../core/task/context.ts'
import { quietContext } from './context.ts'

export interface TestContext extends TaskContext {
  /** Errors on show, in order; null = well again. */
  readonly troubles: (SluiceError | null)[]
}

let logs = 0

/** A new log in memory, or one in a folder. */
export async function testLog(url = `memory://test-${process.pid}-${++logs}`): Promise<Log> {
  return openLog(openStore(url), { signal: AbortSignal.timeout(60_000) })
}

export function taskContext(log: Log, name: string, writer = 'test'): TestContext {
  const troubles: (SluiceError | null)[] = []
  return {
    ...quietContext({ pipeline: 'p', name, random: Math.random }),
    log,
    writer,
    progress: () => {},
    trouble: (error) => {
      if (error !== null || (troubles.at(-1) ?? null) !== null) troubles.push(error)
    },
    troubles,
  }
}
