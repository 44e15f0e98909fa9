/** Rows of dead letters (`rawSchema` of core/connector/format/rejects.ts) as the records they were. */
import type { Batch } from '../../core/record/batch.ts'
import { isNull } from '../../core/record/column.ts'
import { bytesAt, numberAt } from '../../core/record/value.ts'
import { Gathering, noExtras, type Extras } from './gathering.ts'

const decoder = new TextDecoder()

/** Columns beside the body, out of the text that a letter has of them. */
interface LetterColumns {
  parse(text: string): Extras
}

/** One gathering for each page that they came from. What the headers of a letter say are its columns beside the body. */
export function gatherRejected(batch: Batch, columns: LetterColumns): readonly Gathering[] {
  const place = (name: string): number =>
    batch.schema.fields.findIndex((field) => field.name === name)
  const values = batch.columns[place('value')]!
  const headers = batch.columns[place('headers')]!
  const partitions = batch.columns[place('partition')]!
  const offsets = batch.columns[place('offset')]!
  const found: Gathering[] = []
  for (let row = 0; row < batch.rows; row++) {
    const partition = Number(numberAt(partitions, row))
    let gathering = found.at(-1)
    if (gathering?.partition !== partition) {
      gathering = new Gathering()
      gathering.partition = partition
      found.push(gathering)
    }
    const hasValue = !isNull(values, row)
    const start = hasValue ? gathering.put(bytesAt(values, row)) : -1
    const end = hasValue ? gathering.end : -1
    const said = isNull(headers, row) ? null : bytesAt(headers, row)
    const headerStart = said === null ? -1 : gathering.put(said)
    const header = { start: headerStart, end: said === null ? -1 : gathering.end }
    const extras = said === null ? noExtras : columns.parse(decoder.decode(said))
    // As it was: what is refused once more says so of the same record.
    const offset = Number(numberAt(offsets, row))
    gathering.add(start, end, header, { extras, timeUs: batch.timesUs[row]!, offset })
  }
  return found
}
