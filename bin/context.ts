/** Contexts for connectors and tasks: the real clock and random, and this process's logs and metrics. */
import { systemClock, type SinkContext } from '../core/connector/context.ts'
import { createLogger, type LoggerOptions } from '../core/observe/logger.ts'
import type { MetricsRegistry } from '../core/observe/metrics.ts'
import type { TaskStatus } from '../core/observe/status.ts'
import { openStore } from '../core/store/open.ts'

export interface ContextParts {
  readonly pipeline: string
  /** `file://./…` is relative to it. */
  readonly folder: string
  readonly logs: LoggerOptions
  readonly metrics: MetricsRegistry
  readonly status: TaskStatus
}

export function contextOf({ pipeline, folder, logs, metrics, status }: ContextParts): SinkContext {
  const { kind, name } = status.id
  return {
    pipeline,
    name,
    clock: systemClock,
    random: Math.random,
    logger: createLogger(logs, `${kind} ${name}`),
    metrics: metrics.forTask({ pipeline, kind, name }),
    report: (report) => status.report(report),
    files: (url, options = {}) => openStore(url, { ...options, baseFolder: folder }),
  }
}
