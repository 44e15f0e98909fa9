/** Contexts for connectors and tasks: the real clock and random, and this process's logs and metrics. */
import { systemClock, type Context } from '../core/connector/context.ts'
import { createLogger, type LoggerOptions } from '../core/observe/logger.ts'
import type { MetricsRegistry } from '../core/observe/metrics.ts'
import type { TaskStatus } from '../core/observe/status.ts'

export interface ContextParts {
  readonly pipeline: string
  readonly logs: LoggerOptions
  readonly metrics: MetricsRegistry
  readonly status: TaskStatus
}

export function contextOf({ pipeline, logs, metrics, status }: ContextParts): Context {
  const { kind, name } = status.id
  return {
    pipeline,
    name,
    clock: systemClock,
    random: Math.random,
    logger: createLogger(logs, `${kind} ${name}`),
    metrics: metrics.forTask({ pipeline, kind, name }),
    report: (report) => status.report(report),
  }
}
