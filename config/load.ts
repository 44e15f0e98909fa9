/**
 * loadPipeline: a YAML file to a Pipeline, or to every problem it has, each with its line. Never
 * throws for anything that the file or the environment can hold.
 *
 *   bytes → text → tree (positions) → references resolved → frame checked → each source and sink
 *   checked by its connector's schema → names and topics checked against each other
 *
 * Each step goes on past the problems of the one before as far as it makes sense.
 */
import { dirname, resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { z } from 'zod'
import type { Code } from '../core/errors/codes.ts'
import { sinks } from '../sinks/index.ts'
import { sources } from '../connectors/index.ts'
import { ConfigDocument } from './document.ts'
import { checkEntries, knownTopics } from './entries.ts'
import { checkSchema } from './issues.ts'
import type { LogConfig, Pipeline, PipelineOutline, PipelineTransform } from './pipeline.ts'
import type { ConfigProblem } from './problem.ts'
import { readFile as readRegularFile, type ReadFile } from './read-file.ts'
import { References, type Environment } from './references.ts'
import { logSchema, pipelineSchema, type Registers } from './schema.ts'
import { serverConfig, serverSchema } from './server.ts'
import { SourceText } from './source-text.ts'
import { sqlRange } from './sql-range.ts'
import { parseTree, type TreeIssue } from './tree.ts'

export interface LoadOptions {
  readonly env: Environment
  /** Default: regular files of the disk. */
  readonly readFile?: ReadFile
  /** Offline, a reference without a value is a warning, and `pipeline` is null. Default: false. */
  readonly offline?: boolean
  /** Default: the sources and sinks of this tree. */
  readonly registers?: Registers
}

export interface LoadResult {
  /** null while there are errors, or references without a value. */
  readonly pipeline: Pipeline | null
  /** null only when the file could not be read or parsed at all. */
  readonly outline: PipelineOutline | null
  /** In the order of the file. */
  readonly problems: readonly ConfigProblem[]
}

const fileBytesMax = 256 * 1024

export async function loadPipeline(path: string, options: LoadOptions): Promise<LoadResult> {
  const read = options.readFile ?? readRegularFile
  const text = await readText(path, read)
  if (typeof text !== 'string') return { pipeline: null, outline: null, problems: [text] }
  const source = new SourceText(path, text)
  const { root, issues } = parseTree(text)
  const document = new ConfigDocument(source, root)
  if (root === null || root.kind !== 'map') {
    addTreeIssues(document, issues)
    if (issues.length === 0) addEmpty(document)
    return { pipeline: null, outline: null, problems: document.problems() }
  }
  const severity = options.offline === true ? 'warning' : 'error'
  await document.resolve(new References(path, options.env, read), severity)
  const { outline, build } = await check(document, options.registers ?? { sources, sinks })
  const broken = issues.filter((issue) => issue.code !== 'config.duplicate_key')
  const reliable = Math.min(...broken.map((issue) => source.place(issue.start).line))
  addTreeIssues(document, issues)
  // Where the YAML is broken, what comes after is guesswork and what is "missing" may stand there.
  const problems = document.problems(
    ({ code, path, start }) =>
      broken.length === 0 ||
      path.length === 0 ||
      (source.place(start).line < reliable && !absences.has(code)),
  )
  const failed = problems.some((problem) => problem.severity === 'error')
  return { pipeline: failed ? null : build(), outline, problems }
}

const absences: ReadonlySet<Code> = new Set([
  'config.missing_key',
  'config.no_sources',
  'config.no_sinks',
  'config.unknown_topic',
])

const syntaxProblemsMax = 5

/** One for each line: the parser's first complaint about a line is the cause of the others. */
function addTreeIssues(document: ConfigDocument, issues: readonly TreeIssue[]): void {
  const lines = new Set<number>()
  for (const { code, start, end, message, suggestion } of issues) {
    const { line } = document.source.place(start)
    if (lines.has(line)) continue
    if (code === 'config.syntax' && lines.size >= syntaxProblemsMax) continue
    lines.add(line)
    document.addAt(code, [], start, end, { message, suggestion })
  }
}

interface Checked {
  readonly outline: PipelineOutline
  /** The pipeline if every value is known; to be called when there are no errors. */
  readonly build: () => Pipeline | null
}

async function check(document: ConfigDocument, registers: Registers): Promise<Checked> {
  const { file } = document.source
  const value = document.value as Readonly<Record<string, unknown>>
  const entries = await checkEntries(document, registers)
  const { log: logValue, server: serverValue, ...frame } = value
  checkSchema(document, [], frame, pipelineSchema.omit({ log: true, server: true }))
  const checked = checkSchema(document, ['log'], logValue, logSchema)
  const server = checkSchema(document, ['server'], serverValue ?? {}, serverSchema)
  const transforms = transformsOf(document)
  const topics = knownTopics(document, entries.sources, transforms)
  entries.checkNames()
  entries.checkFrom(topics)
  const name = typeof value['name'] === 'string' ? value['name'] : null
  const log =
    checked === undefined || document.unresolvedUnder(['log'])
      ? null
      : logConfig(checked.config as z.output<typeof logSchema>, file)
  const knownSinks = entries.sinks.map(({ config, ...sink }) => {
    const whole = config !== undefined && !document.unresolvedUnder(['sinks', sink.name])
    const { name, kind, connector } = sink
    return { name, kind, connector, sink: whole ? { ...sink, config: config.config } : null }
  })
  const build = (): Pipeline | null => {
    if (document.unresolvedUnder([]) || log === null || name === null) return null
    if (server === undefined) return null
    return {
      file,
      name,
      log,
      server: serverConfig(server.config as z.output<typeof serverSchema>),
      sources: entries.sources.flatMap(({ name, kind, connector, config }) =>
        config === undefined ? [] : [{ name, kind, connector, config: config.config }],
      ),
      transforms,
      sinks: knownSinks.flatMap(({ sink }) => sink ?? []),
    }
  }
  const outline = {
    name,
    log,
    sources: document.keys(['sources']),
    sinks: document.keys(['sinks']),
    knownSources: entries.sources,
    knownSinks,
    transforms,
    topics,
  }
  return { outline, build }
}

async function readText(path: string, read: ReadFile): Promise<string | ConfigProblem> {
  const content = await read(path, fileBytesMax)
  const whole = (code: ConfigProblem['code'], message: string): ConfigProblem => ({
    file: path,
    line: 1,
    col: 1,
    severity: 'error',
    code,
    path: '',
    message,
    suggestion: null,
    frame: '',
  })
  switch (content.kind) {
    case 'missing':
      return whole('config.not_found', 'there is no such file')
    case 'unreadable':
      return whole('config.unreadable', `cannot be read: ${content.reason}`)
    case 'too_large':
      return whole('config.too_large', `is larger than ${fileBytesMax / 1024} KiB`)
    case 'bytes':
      break
  }
  const { bytes } = content
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // The line of the first wrong byte: everything before it decodes.
    const good = new TextDecoder('utf-8').decode(bytes).split('\ufffd')[0] ?? ''
    const place = new SourceText(path, good).place(good.length)
    return { ...whole('config.not_utf8', 'holds a byte here that is not UTF-8 text'), ...place }
  }
}

function addEmpty(document: ConfigDocument): void {
  const message =
    document.root === null
      ? 'holds no YAML'
      : 'is not a mapping: a pipeline begins with `version: 1`'
  document.add('config.empty', [], { message })
}

function transformsOf(document: ConfigDocument): readonly PipelineTransform[] {
  const transforms: PipelineTransform[] = []
  for (const name of document.keys(['transforms'])) {
    const path = ['transforms', name, 'sql']
    const scalar = document.node(path)
    if (scalar?.kind !== 'scalar' || typeof scalar.value !== 'string') continue
    const resolved = document.referred(path)?.resolved
    const sql = resolved === undefined ? scalar.value : resolved.text
    if (sql === null || sql.trim() === '') continue
    const range = sqlRange(document.source, scalar, resolved?.pieces ?? [])
    transforms.push({ name, sql, sqlRange: range })
  }
  return transforms
}

/**
 * `file://./folder` is relative to the pipeline file: relative to the working directory, the same
 * command from another folder would silently begin a new log and copy every table again.
 */
function logConfig(log: z.output<typeof logSchema>, file: string): LogConfig {
  const relative = /^file:\/\/(\.{1,2}(?:\/.*)?)$/.exec(log.url)?.[1]
  const folder = dirname(resolvePath(file))
  return {
    url: relative === undefined ? log.url : pathToFileURL(resolvePath(folder, relative)).href,
    endpoint: log.endpoint ?? null,
    region: log.region ?? null,
    pathStyle: log.path_style ?? null,
    accessKeyId: log.access_key_id ?? null,
    secretAccessKey: log.secret_access_key ?? null,
    flushMs: log.flush ?? null,
  }
}
