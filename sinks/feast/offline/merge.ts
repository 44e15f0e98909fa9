/**
 * Several files of a day as one. Values are copied as their physical types, column by column and a
 * bounded number of rows at a time; of rows that are there more than once one is kept.
 */
import type { FileStore } from '../../../core/connector/file-store.ts'
import { identity, openFile, placesOf, type Places } from './identity.ts'
import { contentTag, fileName, type LogFile } from './names.ts'
import { ParquetOut, type ParquetIn } from './parquet-file.ts'
import type { PhysicalValue } from './physical.ts'
import { groupRows } from './rows.ts'

/** Bytes of all files that are merged at a time. */
const inputBytesMax = 96 << 20

interface Input {
  readonly file: LogFile
  readonly parquet: ParquetIn
  /** Rows [start, end) that are kept, in order. */
  runs: readonly Run[]
}
interface Run {
  readonly start: number
  readonly end: number
}
interface Slice extends Run {
  readonly parquet: ParquetIn
}

/**
 * Puts files of one folder together that have the same columns, as many as memory allows, and says
 * which may go now. null: there are not two such files.
 */
export async function mergeFiles(
  files: FileStore,
  folder: string,
  group: readonly LogFile[],
  signal: AbortSignal,
): Promise<{ readonly inputs: readonly LogFile[] } | null> {
  const inputs = await openInputs(files, folder, group, signal)
  const first = inputs[0]
  if (first === undefined || inputs.length < 2) return null
  const kept = await keepOnce(inputs)
  const { elements, schemaId } = first.parquet
  const out = new ParquetOut(elements, schemaId)
  const names = first.parquet.names
  for (const slices of rowGroups(inputs, groupRows(names.length))) {
    const columns: PhysicalValue[][] = []
    for (const name of names) {
      signal.throwIfAborted()
      columns.push(await columnOf(slices, name))
    }
    out.rowGroup(columns)
  }
  const merged: LogFile = {
    topic: first.file.topic,
    from: Math.min(...inputs.map(({ file }) => file.from)),
    to: Math.max(...inputs.map(({ file }) => file.to)),
    rows: out.rows,
    content: contentTag(schemaId, kept),
  }
  const name = fileName(merged)
  // A merge that was cut off before the removal: the file is there, and only the rest has to go.
  if (!inputs.some(({ file }) => fileName(file) === name)) {
    await files.put(folder + name, out.finish(), signal)
  }
  const gone = inputs.map(({ file }) => file).filter((file) => fileName(file) !== name)
  return gone.length === 0 ? null : { inputs: gone }
}

/** Of the first file's columns, until memory is used up. */
async function openInputs(
  files: FileStore,
  folder: string,
  group: readonly LogFile[],
  signal: AbortSignal,
): Promise<Input[]> {
  const inputs: Input[] = []
  let bytes = 0
  for (const file of group) {
    const opened = await openFile(files, folder + fileName(file), signal)
    // Another process has merged it.
    if (opened === null) return []
    const { parquet } = opened
    if (inputs[0] !== undefined && inputs[0].parquet.schemaId !== parquet.schemaId) continue
    bytes += opened.bytes
    if (bytes > inputBytesMax && inputs.length > 1) break
    inputs.push({ file, parquet, runs: [] })
  }
  return inputs
}

/** Leaves out rows that an earlier input has; gives the places of those that stay. */
async function keepOnce(inputs: readonly Input[]): Promise<readonly Places[]> {
  const kept: Places[] = []
  // Files of different offsets have no row in common, and nearly all are such.
  const seen = inputs.some(({ file }, i) => i > 0 && file.from < inputs[i - 1]!.file.to)
    ? new Set<string>()
    : null
  for (const input of inputs) {
    const places = await placesOf(input.parquet)
    input.runs = seen === null ? [{ start: 0, end: input.parquet.rows }] : newRuns(places, seen)
    for (const { start, end } of input.runs) {
      const { offsets, createdUs } = places
      kept.push({
        offsets: offsets.subarray(start, end),
        createdUs: createdUs.subarray(start, end),
      })
    }
  }
  return kept
}

/** Runs of rows that were not seen before. */
function newRuns({ offsets, createdUs }: Places, seen: Set<string>): Run[] {
  const runs: { start: number; end: number }[] = []
  for (const [row, offset] of offsets.entries()) {
    const one = identity(offset, createdUs[row]!)
    if (seen.has(one)) continue
    seen.add(one)
    const last = runs.at(-1)
    if (last !== undefined && last.end === row) last.end = row + 1
    else runs.push({ start: row, end: row + 1 })
  }
  return runs
}

/** All kept rows in order, so many a row group. */
function* rowGroups(inputs: readonly Input[], size: number): Generator<readonly Slice[]> {
  let slices: Slice[] = []
  let rows = 0
  for (const { parquet, runs } of inputs) {
    for (const run of runs) {
      for (let start = run.start; start < run.end;) {
        const end = Math.min(run.end, start + size - rows)
        slices.push({ parquet, start, end })
        rows += end - start
        start = end
        if (rows < size) continue
        yield slices
        slices = []
        rows = 0
      }
    }
  }
  if (rows > 0) yield slices
}

async function columnOf(slices: readonly Slice[], name: string): Promise<PhysicalValue[]> {
  const values: PhysicalValue[] = []
  for (const { parquet, start, end } of slices) {
    for (const value of await parquet.column(name, start, end)) values.push(value)
  }
  return values
}
