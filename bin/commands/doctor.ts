/**
 * `sluice doctor`: asks every source, every sink and the store of the log whether they are ready, all
 * at once, and prints each problem with the statement that cures it.
 */
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pipeline } from '../../config/pipeline.ts'
import type { SinkContext } from '../../core/connector/context.ts'
import type { Problem } from '../../core/connector/problem.ts'
import { toSluiceError } from '../../core/errors/error.ts'
import { maskUrls } from '../../core/observe/logger.ts'
import { MetricsRegistry } from '../../core/observe/metrics.ts'
import { StatusBoard, type TaskKind } from '../../core/observe/status.ts'
import { probeStore } from '../../core/store/probe.ts'
import { contextOf } from '../context.ts'
import { loadChecked } from '../load.ts'
import { storeOf } from '../open-log.ts'
import {
  codeOf,
  count,
  exitCode,
  paintFor,
  print,
  printError,
  printProblems,
  type ExitCode,
} from '../output.ts'

export interface DoctorOptions {
  readonly format: 'human' | 'json'
}

interface Check {
  readonly what: string
  readonly problems: readonly Problem[]
}

/** A server that accepts a connection and then says nothing must not hold up the report. */
const checkTimeoutMs = 60_000

export async function doctor(file: string, options: DoctorOptions): Promise<ExitCode> {
  const { pipeline, problems } = await loadChecked(file, false)
  if (pipeline === null) {
    if (options.format === 'json') print(JSON.stringify({ file, ok: false, problems }, null, 2))
    else printProblems(problems)
    return codeOf(problems)
  }
  const checks = await checkAll(pipeline)
  const ok = checks.every((check) => check.problems.every(({ severity }) => severity !== 'error'))
  if (options.format === 'json') print(JSON.stringify({ file, ok, problems, checks }, null, 2))
  else {
    printProblems(problems)
    printChecks(checks)
  }
  return ok ? exitCode.ok : exitCode.environment
}

async function checkAll(pipeline: Pipeline): Promise<readonly Check[]> {
  const board = new StatusBoard()
  const metrics = new MetricsRegistry()
  const context = (kind: TaskKind, name: string): SinkContext =>
    contextOf({
      pipeline: pipeline.name,
      folder: dirname(pipeline.file),
      logs: { level: 'warn', format: 'plain', write: printError },
      metrics,
      status: board.task({ kind, name }),
    })
  return Promise.all([
    bounded(`log ${pipeline.log.url}`, () => checkStore(pipeline)),
    ...pipeline.sources.map(({ name, kind, connector, config }) =>
      bounded(`source ${name} (${kind})`, () => connector.check(config, context('ingest', name))),
    ),
    ...pipeline.sinks.map(({ name, kind, connector, config }) =>
      bounded(`sink ${name} (${kind})`, () => connector.check(config, context('deliver', name))),
    ),
  ])
}

async function checkStore({ log }: Pipeline): Promise<readonly Problem[]> {
  await using store = storeOf(log)
  await probeStore(store, AbortSignal.timeout(checkTimeoutMs))
  return []
}

/** What a check throws is a finding like the others: doctor always reports on everything. */
async function bounded(what: string, check: () => Promise<readonly Problem[]>): Promise<Check> {
  const timer = new AbortController()
  const late = sleep(checkTimeoutMs, null, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${checkTimeoutMs / 1000} s`)
  })
  try {
    return { what, problems: await Promise.race([check(), late]) }
  } catch (thrown) {
    const { code, message, remedy } = toSluiceError(thrown)
    return { what, problems: [{ code, severity: 'error', message, remedy }] }
  } finally {
    timer.abort()
    late.catch(() => {})
  }
}

function worstFirst(problems: readonly Problem[]): readonly Problem[] {
  const isError = ({ severity }: Problem): boolean => severity === 'error'
  return [...problems.filter(isError), ...problems.filter((problem) => !isError(problem))]
}

function printChecks(checks: readonly Check[]): void {
  const paint = paintFor(process.stdout)
  let errors = 0
  let warnings = 0
  for (const { what, problems } of checks) {
    const failed = problems.some(({ severity }) => severity === 'error')
    const mark = failed
      ? paint.red('failed')
      : problems.length > 0
        ? paint.yellow('warned')
        : 'ok    '
    print(`${mark}  ${maskUrls(what)}`)
    for (const { code, severity, message, remedy } of worstFirst(problems)) {
      if (severity === 'error') errors++
      else warnings++
      const label = severity === 'error' ? paint.red(code) : paint.yellow(`warning ${code}`)
      print(`        ${label}  ${maskUrls(message)}`)
      for (const line of remedy.split('\n')) print(`          ${paint.cyan(line)}`)
    }
  }
  if (errors + warnings === 0) print('everything is ready')
  else print(`\n${count(errors, 'error')}, ${count(warnings, 'warning')}`)
}
