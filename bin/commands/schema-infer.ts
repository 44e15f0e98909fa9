/**
 * `sluice schema infer`: looks at some records of a source and proposes the `schema:` of their topic,
 * printed for review or written into the pipeline file.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Pipeline, PipelineSource } from '../../config/pipeline.ts'
import { didYouMean } from '../../core/connector/nearest.ts'
import type { SchemaProposal } from '../../core/connector/schema-proposal.ts'
import { MetricsRegistry } from '../../core/observe/metrics.ts'
import { StatusBoard } from '../../core/observe/status.ts'
import { contextOf } from '../context.ts'
import { loadChecked } from '../load.ts'
import {
  codeOf,
  count,
  exitCode,
  print,
  printError,
  printProblems,
  type ExitCode,
} from '../output.ts'
import { stopOnSignals } from '../signals.ts'
import { insertMapping, mappingLines } from '../yaml-insert.ts'

export interface InferOptions {
  readonly source?: string
  readonly topic?: string
  readonly records: number
  readonly write: boolean
  /** Files; `-` is standard input. */
  readonly sample: readonly string[]
}

export async function inferSchema(file: string, options: InferOptions): Promise<ExitCode> {
  const { pipeline, problems } = await loadChecked(file, false)
  if (pipeline === null) {
    printProblems(problems)
    return codeOf(problems)
  }
  const source = chosen(pipeline, options.source)
  if (source === null) return exitCode.invalid
  using stop = stopOnSignals(() => {})
  const samples = samplesIn(options.sample)
  if (samples === null) return exitCode.environment
  const question = {
    topic: options.topic ?? null,
    recordsMax: options.records,
    ...(samples.length > 0 && { samples }),
  }
  const proposal = await source.connector.inferSchema!(
    source.config,
    question,
    contextOf({
      pipeline: pipeline.name,
      folder: dirname(pipeline.file),
      logs: { level: 'warn', format: 'plain', write: printError },
      metrics: new MetricsRegistry(),
      status: new StatusBoard().task({ kind: 'ingest', name: source.name }),
    }),
    stop.signal,
  )
  const { topic, records, remarks } = proposal
  printError(`${source.name}.${topic}: read off ${count(records, 'record')}`)
  for (const remark of remarks) printError(`  ${remark}`)
  if (options.write) return write(file, source, proposal)
  print(mappingLines('schema', proposal.schema).join('\n'))
  return exitCode.ok
}

/** What is in the files; null when one cannot be read, which was said. */
function samplesIn(files: readonly string[]): readonly Uint8Array[] | null {
  try {
    return files.map((file) => readFileSync(file === '-' ? 0 : file))
  } catch (error) {
    printError(`a sample cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

/** The source that is meant; null when that cannot be known, which was said. */
function chosen({ sources }: Pipeline, name: string | undefined): PipelineSource | null {
  const able = sources.filter(({ connector }) => connector.inferSchema !== undefined)
  const names = able.map((source) => source.name)
  if (name === undefined) {
    if (able.length === 1) return able[0]!
    printError(
      able.length === 0
        ? 'no source of this file needs a schema: their records say what they are made of'
        : `say which source with --source: ${names.join(', ')}`,
    )
    return null
  }
  const found = able.find((source) => source.name === name)
  if (found !== undefined) return found
  const other = sources.find((source) => source.name === name)
  printError(
    other === undefined
      ? `there is no source "${name}"; ${didYouMean(name, names) ?? `there are ${names.join(', ')}`}`
      : `${name} is of type ${other.kind}, whose records say what they are made of`,
  )
  return null
}

function write(file: string, { name }: PipelineSource, proposal: SchemaProposal): ExitCode {
  const path = ['sources', name, ...proposal.path]
  const text = insertMapping(readFileSync(file, 'utf8'), path, 'schema', proposal.schema)
  if (text === null) {
    printError(
      `${path.join('.')} in ${file} is no mapping that a schema could be added to, or has one already; put this there:`,
    )
    print(mappingLines('schema', proposal.schema).join('\n'))
    return exitCode.runtime
  }
  writeFileSync(file, text)
  printError(
    `written to ${path.join('.')}.schema in ${file}: look it over before you run the pipeline`,
  )
  return exitCode.ok
}
