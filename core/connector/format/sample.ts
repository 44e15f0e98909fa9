/**
 * The values in a file that somebody saved for `sluice schema infer`: the body of a request, an answer, a message,
 * or lines with one each.
 */
import { byteOrderMark, csvRecords, CsvFields } from './csv-scan.ts'
import type { PlainSettings } from './format-config.ts'
import { jsonElements, lines, Ranges } from './json-ranges.ts'
import { openBracket, skipBlanks } from './json-scan.ts'

const newline = Buffer.from('\n')

export function sampleValues(
  { format, csv = {} }: Pick<PlainSettings, 'format' | 'csv'>,
  file: Uint8Array,
): readonly Uint8Array[] {
  const sample = file.subarray(byteOrderMark(file, 0, file.length))
  const found = new Ranges()
  if (format === 'json') jsonValues(sample, found)
  else if (format === 'csv') {
    const [delimiter, quote] = [csv.delimiter ?? ',', csv.quote ?? '"']
    const fields = new CsvFields({ delimiter: delimiter.charCodeAt(0), quote: quote.charCodeAt(0) })
    csvRecords(sample, { start: 0, end: sample.length }, fields, found)
  } else found.add(0, sample.length)
  const values = Array.from({ length: found.count }, (_, i) =>
    sample.slice(found.starts[i], found.ends[i]),
  )
  if (format !== 'csv' || csv.header !== true) return values
  const [header, ...records] = values
  return header === undefined
    ? []
    : records.map((record) => Buffer.concat([header, newline, record]))
}

/** The elements of an array, the one value that it is, or its lines. */
function jsonValues(sample: Uint8Array, found: Ranges): void {
  const start = skipBlanks(sample, 0, sample.length)
  if (!isJson(sample)) lines(sample, start, sample.length, found)
  else if (sample[start] === openBracket) jsonElements(sample, start, sample.length, found)
  else found.add(start, sample.length)
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes).toString())
    return true
  } catch {
    return false
  }
}
