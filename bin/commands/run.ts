/**
 * `sluice run`: the whole pipeline in this process until it is asked to stop. Wires what the other
 * folders provide: config → log → hub, with logs, metrics and the live status around it.
 */
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Pipeline } from '../../config/pipeline.ts'
import { systemClock, type Metrics } from '../../core/connector/context.ts'
import { SluiceError, toSluiceError } from '../../core/errors/error.ts'
import { setUpCollector } from '../../core/hub/collector.ts'
import { HttpServer } from '../../core/hub/http-server.ts'
import { runHub, type HubEnd } from '../../core/hub/hub.ts'
import { flushPolicy, pipelineTasks, type PipelineParts } from '../../core/hub/pipeline-tasks.ts'
import { openLog } from '../../core/log/log.ts'
import { createLogger, type LogFormat, type LogLevel } from '../../core/observe/logger.ts'
import { MetricsRegistry } from '../../core/observe/metrics.ts'
import { ObserveServer } from '../../core/observe/server.ts'
import { StatusBoard, type TaskStatus } from '../../core/observe/status.ts'
import type { ParsedQuery } from '../../core/sql/parse/parse.ts'
import type { TaskContext } from '../../core/task/context.ts'
import { contextOf } from '../context.ts'
import { showStatus, type Display } from '../display.ts'
import { loadChecked } from '../load.ts'
import { storeOf } from '../open-log.ts'
import { codeOf, exitCode, printProblems, printThrown, type ExitCode } from '../output.ts'
import { stopOnSignals } from '../signals.ts'

export interface RunOptions {
  readonly plain: boolean
  /** undefined: the usual port when it is free; 0: none. */
  readonly port?: number
  readonly host: string
  readonly state?: string
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** Where Prometheus's own list of ports puts exporters of this kind. */
const usualPort = 9464

export async function run(file: string, options: RunOptions): Promise<ExitCode> {
  const { pipeline, queries, problems } = await loadChecked(file, false)
  printProblems(problems)
  if (pipeline === null) return codeOf(problems)
  setUpCollector()
  const board = new StatusBoard()
  using display = showStatus(board, `sluice ${pipeline.name}`, options)
  using stop = stopOnSignals((name) => {
    display.log(`${name}: finishing the open commits; once more to end at once`)
  })
  const end = await runPipeline({ pipeline, queries, options, board, display }, stop.signal)
  display.draw()
  if (end.kind === 'stopped') {
    display.log('stopped')
    return exitCode.ok
  }
  display.log(`${end.task.kind} ${end.task.name} ended the process:`)
  display[Symbol.dispose]()
  printThrown(end.error)
  return exitCode.runtime
}

interface Run {
  readonly pipeline: Pipeline
  readonly queries: ReadonlyMap<string, ParsedQuery>
  readonly options: RunOptions
  readonly board: StatusBoard
  readonly display: Display
}

async function runPipeline(run: Run, signal: AbortSignal): Promise<HubEnd> {
  const { pipeline, queries, options, board, display } = run
  const logs = { level: options.logLevel, format: options.logFormat, write: display.log }
  const logger = createLogger(logs, 'sluice')
  const metrics = new MetricsRegistry()
  await using server = await observeServer(run, metrics, (error) => {
    logger.warn(error.message, { remedy: error.remedy })
  })
  if (server !== null) logger.info('metrics and status', { url: server.url })
  // Ends after the tasks: what was committed last is still answered.
  await using http = new HttpServer(pipeline.server, createLogger(logs, 'server'))
  await using store = storeOf(pipeline.log)
  logger.info('opening the log', { url: pipeline.log.url })
  const log = await openLog(store, { signal })
  const writer = `${hostname()}/${process.pid}`
  const folder = options.state ?? join(dirname(resolve(pipeline.file)), '.sluice', 'state')
  const tasks = pipelineTasks(parts(pipeline, queries), {
    flush: flushPolicy(pipeline.log.url, pipeline.log.flushMs),
    stateDir: folder,
  })
  // Awaited here: a promise that is only returned would let `await using` close store and server at once.
  return await runHub(
    {
      tasks,
      clock: systemClock,
      random: Math.random,
      contextOf: ({ kind, name }) => {
        const status = board.task({ kind, name })
        const context = contextOf({
          pipeline: pipeline.name,
          folder: dirname(pipeline.file),
          logs,
          metrics,
          status,
        })
        metrics.onRender(() => setGauges(context.metrics, status))
        return taskContext(context, status, { log, writer, http })
      },
    },
    signal,
  )
}

function taskContext(
  context: ReturnType<typeof contextOf>,
  status: TaskStatus,
  parts: Pick<TaskContext, 'log' | 'writer' | 'http'>,
): TaskContext {
  const { metrics } = context
  return {
    ...context,
    ...parts,
    progress: (rows, bytes) => {
      status.progress(rows, bytes)
      metrics.count('rows_total', rows)
      metrics.count('bytes_total', bytes)
    },
    trouble: (error, about) => {
      status.trouble(error, about)
      if (error !== null) metrics.count('errors_total', 1, { code: error.code })
    },
  }
}

/** What grows while nothing happens is asked for when it is wanted. */
function setGauges(metrics: Metrics, { lagMs, backlogBytes }: TaskStatus): void {
  if (lagMs !== null) metrics.gauge('lag_seconds', lagMs / 1000)
  if (backlogBytes !== null) metrics.gauge('backlog_bytes', backlogBytes)
}

function parts(pipeline: Pipeline, queries: ReadonlyMap<string, ParsedQuery>): PipelineParts {
  return {
    name: pipeline.name,
    sources: pipeline.sources,
    sinks: pipeline.sinks,
    transforms: pipeline.transforms.map(({ name, sql }) => {
      const query = queries.get(name)
      if (query === undefined) {
        throw new SluiceError('internal.bug', { message: `transform ${name} was not parsed` })
      }
      return { name, sql, query }
    }),
  }
}

/** A port that was asked for must be had; the usual one is given up with a warning. */
async function observeServer(
  { options, board }: Run,
  metrics: MetricsRegistry,
  onGivenUp: (error: SluiceError) => void,
): Promise<ObserveServer | null> {
  if (options.port === 0) return null
  try {
    return await ObserveServer.start({
      host: options.host,
      port: options.port ?? usualPort,
      metrics,
      notReady: () => board.notReady(),
      status: () => board,
    })
  } catch (thrown) {
    const error = toSluiceError(thrown)
    if (options.port !== undefined || error.code !== 'observe.port_unavailable') throw error
    onGivenUp(error)
    return null
  }
}
