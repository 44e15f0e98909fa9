/** `sluice features verify | export`: what a feature store has, and how Feast reads it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { OutlinedSink, PipelineSink } from '../../config/pipeline.ts'
import type { ExportedFile, FeatureAgreement } from '../../core/connector/feature-tools.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import type { SinkContext } from '../../core/connector/context.ts'
import type { TopicInfo } from '../../core/connector/sink.ts'
import { MetricsRegistry } from '../../core/observe/metrics.ts'
import { StatusBoard } from '../../core/observe/status.ts'
import { isMeant, sideTopics } from '../../core/task/from.ts'
import { contextOf } from '../context.ts'
import { agreementJson, disagrees, printAgreements } from '../feature-format.ts'
import { timeOf, WrongArgument } from '../letter-filter.ts'
import { exitCode, print, printError, type ExitCode } from '../output.ts'
import { problemsAt, refuse, topicsOf, withLog, type OpenedLog } from '../pipeline-log.ts'

export interface VerifyCommandOptions {
  readonly sink?: string
  readonly view?: readonly string[]
  /** Infinity: all. */
  readonly sample: number
  readonly asOf?: string
  readonly seed?: number
  /** Per cent. */
  readonly tolerance: number
  readonly format: 'table' | 'json'
}

export interface ExportOptions {
  readonly sink?: string
  readonly out: string
  readonly force: boolean
}

export async function verify(file: string, options: VerifyCommandOptions): Promise<ExitCode> {
  return onSinks(file, options.sink, async (sinks, opened) => {
    const nowMs = Date.now()
    const asOfMs = options.asOf === undefined ? nowMs : timeOf(options.asOf, nowMs)
    const seed = options.seed ?? nowMs % 1_000_000
    const found: { readonly sink: string; readonly agreements: readonly FeatureAgreement[] }[] = []
    for (const sink of sinks) {
      const agreements = await sink.connector.features!.verify(
        sink.config,
        {
          topics: await topicsFor(sink, opened),
          views: options.view ?? null,
          sample: options.sample === Infinity ? null : options.sample,
          asOfMs,
          seed,
          signal: opened.signal,
        },
        contextFor(sink, opened),
      )
      found.push({ sink: sink.name, agreements })
    }
    const wrong = found.some(({ agreements }) =>
      agreements.some((agreement) => disagrees(agreement, options.tolerance)),
    )
    if (options.format === 'json') {
      const asOf = new Date(asOfMs).toISOString()
      const sinksJson = found.map(({ sink, agreements }) => ({
        sink,
        features: agreements.map(agreementJson),
      }))
      print(JSON.stringify({ ok: !wrong, asOf, seed, sinks: sinksJson }, null, 2))
    } else {
      for (const { sink, agreements } of found) printAgreements(sink, agreements)
      if (options.sample !== Infinity) printError(`seed ${seed}`)
    }
    return wrong ? exitCode.runtime : exitCode.ok
  })
}

export async function exportRepository(file: string, options: ExportOptions): Promise<ExitCode> {
  return onSinks(file, options.sink, async (sinks, opened) => {
    if (sinks.length > 1) {
      const names = sinks.map(({ name }) => name).join(', ')
      throw new WrongArgument(`several sinks keep features: name one by --sink (${names})`)
    }
    const sink = sinks[0]!
    const topics = await topicsFor(sink, opened)
    const ctx = contextFor(sink, opened)
    const files = await sink.connector.features!.export(sink.config, topics, ctx)
    const changed = await filesToWrite(files, options)
    for (const { name, text } of changed) {
      await mkdir(options.out, { recursive: true })
      await writeFile(join(options.out, name), text)
    }
    for (const exported of files) {
      print(
        `${changed.includes(exported) ? 'wrote    ' : 'unchanged'} ${join(options.out, exported.name)}`,
      )
    }
    const variables = files.flatMap((exported) => exported.variables)
    for (const [name, meaning] of variables) printError(`set ${name}: ${meaning}`)
    printError(`next: cd ${options.out} && feast apply`)
    return exitCode.ok
  })
}

/** Those that are not there as they should be. None is replaced unless it was said. */
async function filesToWrite(
  files: readonly ExportedFile[],
  { out, force }: ExportOptions,
): Promise<readonly ExportedFile[]> {
  const changed: ExportedFile[] = []
  for (const file of files) {
    const path = join(out, file.name)
    const present = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw new WrongArgument(`${path} cannot be read: ${error.code ?? error.message}`)
    })
    if (present === file.text) continue
    if (present !== null && !force) {
      throw new WrongArgument(`${path} is there and differs: --force replaces it`)
    }
    changed.push(file)
  }
  return changed
}

type OnSinks = (sinks: readonly PipelineSink[], opened: OpenedLog) => Promise<ExitCode>

/**
 * Runs a command on the sinks that keep features, or the one named. Nothing else of the file need be
 * in order: whoever compares features may lack the passwords of sources and of other sinks.
 */
async function onSinks(file: string, name: string | undefined, use: OnSinks): Promise<ExitCode> {
  return withLog(file, async (opened) => {
    try {
      const chosen = chosenSinks(opened, name)
      const places = chosen.map((sink) => `sinks.${sink.name}`)
      const problems = problemsAt(opened.problems, places)
      const sinks = chosen.flatMap(({ sink }) => sink ?? [])
      const broken = problems.some(({ severity }) => severity === 'error')
      if (broken || sinks.length < chosen.length) return refuse(problems, places)
      return await use(sinks, opened)
    } catch (error) {
      if (!(error instanceof WrongArgument)) throw error
      printError(error.message)
      return exitCode.invalid
    }
  })
}

function chosenSinks(
  { file, outline }: OpenedLog,
  name: string | undefined,
): readonly Pick<OutlinedSink, 'name' | 'sink'>[] {
  const able = outline.knownSinks.filter(({ connector }) => connector.features !== undefined)
  const names = able.map((sink) => sink.name)
  if (name === undefined) {
    if (able.length > 0) return able
    throw new WrongArgument(`${file} has no sink that keeps features (type: feast)`)
  }
  const found = able.find((sink) => sink.name === name)
  if (found !== undefined) return [found]
  const other = outline.knownSinks.find((sink) => sink.name === name)
  if (other !== undefined) {
    throw new WrongArgument(`sink ${name} is of type ${other.kind}, which keeps no features`)
  }
  // Its type is wrong, which is among the problems.
  if (outline.sinks.includes(name)) return [{ name, sink: null }]
  const hint = didYouMean(name, names) ?? `those that keep features: ${names.join(', ') || 'none'}`
  throw new WrongArgument(`there is no sink "${name}"; ${hint}`)
}

async function topicsFor({ from }: PipelineSink, opened: OpenedLog): Promise<readonly TopicInfo[]> {
  const { knownSources, sinks } = opened.outline
  const isSide = sideTopics({ sources: knownSources, sinks })
  const topics: TopicInfo[] = []
  for (const [name, { head }] of await topicsOf(opened)) {
    if (!isMeant(from, name, isSide)) continue
    topics.push({ name, schema: head.schemas.at(-1) ?? null })
  }
  return topics
}

function contextFor({ name }: PipelineSink, opened: OpenedLog): SinkContext {
  return contextOf({
    pipeline: opened.name,
    folder: dirname(opened.file),
    logs: { level: 'warn', format: 'plain', write: printError },
    metrics: new MetricsRegistry(),
    status: new StatusBoard().task({ kind: 'deliver', name }),
  })
}
