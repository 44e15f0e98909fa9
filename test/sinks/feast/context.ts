/** A sink's context with the real clock and files, that keeps what is logged. */
import { systemClock, type SinkContext } from '../../../core/connector/context.ts'
import { openStore } from '../../../core/store/open.ts'

export function testContext(): SinkContext & { readonly logged: string[] } {
  const logged: string[] = []
  const log = (message: string, fields?: unknown): void => {
    logged.push(`${message} ${JSON.stringify(fields ?? {})}`)
  }
  return {
    pipeline: 'test',
    name: 'features',
    clock: systemClock,
    random: () => 0.5,
    logger: { debug: log, info: log, warn: log, error: log },
    metrics: { count: () => {}, gauge: () => {}, observe: () => {} },
    report: () => {},
    files: openStore,
    logged,
  }
}
