/**
 * The context of a source or sink that a test runs without the hub: the real clock and files. What a test
 * is about it gives itself; nothing is drawn at random unless it says so, so that jitter is the same in
 * each run.
 */
import {
  systemClock,
  type Context,
  type SinkContext,
  type StatusReport,
} from '../../core/connector/context.ts'
import { openStore } from '../../core/store/open.ts'

const nothing = (): void => {}

/** Logs, counts and reports to nobody. */
export function quietContext(given: Partial<SinkContext> = {}): SinkContext {
  return {
    pipeline: 'test',
    name: 'tested',
    clock: systemClock,
    random: () => 0.5,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    metrics: { count: nothing, gauge: nothing, observe: nothing },
    report: nothing,
    files: openStore,
    ...given,
  }
}

export interface LogLine {
  readonly level: keyof Context['logger']
  readonly message: string
  readonly fields: object
}

export interface KeptContext extends SinkContext {
  /** What was logged and reported, in order. */
  readonly lines: readonly LogLine[]
  readonly reports: readonly StatusReport[]
  /** Whether the text stands in a line, in its message or its fields as JSON. */
  readonly hasLogged: (text: string) => boolean
}

/** Keeps what is logged and reported. */
export function keptContext(given: Partial<SinkContext> = {}): KeptContext {
  const lines: LogLine[] = []
  const reports: StatusReport[] = []
  const to =
    (level: LogLine['level']) =>
    (message: string, fields = {}): void =>
      void lines.push({ level, message, fields })
  return {
    ...quietContext({
      logger: { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') },
      report: (report) => void reports.push(report),
      ...given,
    }),
    lines,
    reports,
    hasLogged: (text) =>
      lines.some(({ message, fields }) => `${message} ${JSON.stringify(fields)}`.includes(text)),
  }
}
