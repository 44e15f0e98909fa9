/**
 * A schema read off some values: what `sluice schema infer` proposes, for people to look at. Whatever is
 * proposed has read every value of the sample that can be read at all; a column that did not is widened
 * until it does.
 */
import { builderFor } from '../../record/builder.ts'
import type { LogicalType } from '../../record/types.ts'
import { isUtf8 } from './cell-text.ts'
import { byteOrderMark, CsvFields } from './csv-scan.ts'
import { Evidence, type JsonKind } from './evidence.ts'
import { valueFormat, wholeColumn, type PlainSettings } from './format-config.ts'
import { JsonMembers, jsonElements, Ranges } from './json-ranges.ts'
import { columnTypeText } from './schema-text.ts'

export interface InferredSchema {
  /** Column → type as `schema:` has it. */
  readonly schema: Readonly<Record<string, string>>
  /** Values looked at that could be read. */
  readonly records: number
  /** What its reader should know, a sentence each. */
  readonly remarks: readonly string[]
}

/** Elements of one array that are looked at. */
const elementsMax = 1000
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `settings.schema` is not looked at. Values: of messages as they came, tombstones left out. */
export function inferSchema(
  settings: PlainSettings,
  values: readonly Uint8Array[],
): InferredSchema {
  switch (settings.format) {
    case 'json':
      return new Inference(settings, values).finish(jsonColumns)
    case 'csv':
      return new Inference(settings, values).finish(csvColumns)
    case 'text': {
      const texts = values.filter((value) => isUtf8(value, 0, value.length)).length
      const isText = texts === values.length
      return {
        schema: { [wholeColumn]: isText ? 'text' : 'bytes' },
        records: values.length,
        remarks: isText
          ? []
          : [`${values.length - texts} values are no UTF-8: \`format: bytes\` keeps them`],
      }
    }
    case 'bytes':
      return { schema: { [wholeColumn]: 'bytes' }, records: values.length, remarks: [] }
  }
}

type Columns = Map<string, Evidence>
/** Adds the columns of one value; false = it cannot be read. */
type Look = (value: Uint8Array, columns: Columns, settings: PlainSettings) => boolean

interface Column {
  type: LogicalType
  nullable: boolean
}

class Inference {
  readonly #settings: PlainSettings
  readonly #values: readonly Uint8Array[]
  readonly #remarks: string[] = []

  constructor(settings: PlainSettings, values: readonly Uint8Array[]) {
    this.#settings = settings
    this.#values = values
  }

  finish(look: Look): InferredSchema {
    const seen: Columns = new Map()
    const readable = this.#values.filter((value) => look(value, seen, this.#settings))
    const columns = new Map<string, Column>()
    for (const [name, evidence] of seen) {
      const { type, remark } = evidence.propose(name)
      if (remark !== null) this.#remarks.push(`${name}: ${remark}`)
      const nullable = evidence.nulls > 0 || evidence.seen < readable.length
      columns.set(name, { type, nullable })
    }
    const unreadable = this.#values.length - readable.length
    if (unreadable > 0) {
      this.#remarks.push(
        `${unreadable} of ${this.#values.length} values cannot be read as ${this.#settings.format}`,
      )
    }
    this.#widen(columns, readable)
    return { schema: schemaOf(columns), records: readable.length, remarks: this.#remarks }
  }

  /** Reads the sample by the proposal, and makes columns wider until it fits. */
  #widen(columns: Map<string, Column>, values: readonly Uint8Array[]): void {
    for (
      let unfit = this.#unfit(columns, values);
      unfit !== null;
      unfit = this.#unfit(columns, values)
    ) {
      const column = columns.get(unfit)
      if (column === undefined) return
      // In CSV only a document would be json.
      const kind = this.#settings.format === 'csv' ? 'text' : 'json'
      if (column.type.kind === kind && column.nullable) return
      this.#remarks.push(`${unfit}: not all values fit a narrower type; proposed: ${kind}`)
      columns.set(unfit, { type: { kind }, nullable: true })
    }
  }

  /** Name of a column that does not take a value of the sample; null = all do. */
  #unfit(columns: ReadonlyMap<string, Column>, values: readonly Uint8Array[]): string | null {
    const format = valueFormat({ ...this.#settings, key: [], schema: schemaOf(columns) })
    const builders = format.fields!.map((field) => builderFor(field.type))
    for (const value of values) {
      const fault = format.read(value, 0, value.length, builders)
      if (fault !== null && fault.field !== null) return fault.field
      for (const builder of builders) builder.rewind(0)
    }
    return null
  }
}

function schemaOf(columns: ReadonlyMap<string, Column>): Readonly<Record<string, string>> {
  return Object.fromEntries([...columns].map(([name, column]) => [name, columnTypeText(column)]))
}

function evidenceOf(columns: Columns, name: string): Evidence {
  let evidence = columns.get(name)
  if (evidence === undefined) {
    evidence = new Evidence()
    columns.set(name, evidence)
  }
  return evidence
}

const jsonColumns: Look = (value, columns) => {
  let names: readonly string[]
  try {
    const document: unknown = JSON.parse(decoder.decode(value))
    if (typeof document !== 'object' || document === null || Array.isArray(document)) return false
    names = Object.keys(document).filter((name) => name !== '')
  } catch {
    return false
  }
  const members = new JsonMembers(names)
  if (members.find(value, 0, value.length) !== null) return false
  for (const [index, name] of names.entries()) {
    // A name that no UTF-8 can say has no place.
    const start = members.starts[index]!
    if (start >= 0) addJson(evidenceOf(columns, name), value, start, members.ends[index]!)
  }
  return true
}

function addJson(evidence: Evidence, bytes: Uint8Array, start: number, end: number): void {
  const kind = kindOf(bytes[start]!)
  const source = decoder.decode(bytes.subarray(start, end))
  evidence.add(kind, kind === 'text' ? (JSON.parse(source) as string) : source)
  if (kind !== 'array') return
  const found = new Ranges()
  jsonElements(bytes, start, end, found)
  const count = Math.min(found.count, elementsMax)
  for (let i = 0; i < count; i++)
    addJson(evidence.elements, bytes, found.starts[i]!, found.ends[i]!)
}

function kindOf(first: number): JsonKind {
  switch (String.fromCharCode(first)) {
    case '{':
      return 'object'
    case '[':
      return 'array'
    case '"':
      return 'text'
    case 't':
    case 'f':
      return 'bool'
    case 'n':
      return 'null'
    default:
      return 'number'
  }
}

const csvColumns: Look = (value, columns, { csv = {} }) => {
  const fields = new CsvFields({
    delimiter: (csv.delimiter ?? ',').charCodeAt(0),
    quote: (csv.quote ?? '"').charCodeAt(0),
  })
  let names: readonly string[] | null = null
  let at = byteOrderMark(value, 0, value.length)
  if (csv.header === true) {
    at = fields.read(value, at, value.length)
    if (at < 0) return false
    names = csvTexts(value, fields, csv.quote ?? '"').map(({ text }) => text.trim())
  }
  if (fields.read(value, at, value.length) < 0 || !isUtf8(value, 0, value.length)) return false
  const cells = csvTexts(value, fields, csv.quote ?? '"')
  if (names !== null && names.length !== cells.length) return false
  for (const [index, { text, bare }] of cells.entries()) {
    const evidence = evidenceOf(columns, names?.[index] ?? `column_${index + 1}`)
    evidence.add(bare && text === (csv.null ?? '') ? 'null' : csvKind(text), text)
  }
  return true
}

function csvTexts(
  bytes: Uint8Array,
  fields: CsvFields,
  quote: string,
): readonly { readonly text: string; readonly bare: boolean }[] {
  return Array.from({ length: fields.count }, (_, index) => {
    const text = Buffer.from(bytes.subarray(fields.starts[index], fields.ends[index])).toString()
    const doubled = fields.quoted[index] === 2
    return {
      text: doubled ? text.replaceAll(quote + quote, quote) : text,
      bare: fields.quoted[index] === 0,
    }
  })
}

/** Only what JSON would write so is a number: 007 and +49… are names. */
function csvKind(text: string): JsonKind {
  if (/^(?:true|false)$/i.test(text)) return 'bool'
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? 'number' : 'text'
}
