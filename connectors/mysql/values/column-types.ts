/**
 * MySQL's and MariaDB's column types: from the text the catalog has for them to `MysqlType`, and from
 * there to the logical type. Enums and sets are text: their labels are the value, and a label added
 * later must not change the schema. column-types-wire.ts leads from a table map to the same types.
 *
 *   COLUMN_TYPE = name [ '(' arguments ')' ] { ' ' ( 'unsigned' | 'zerofill' | comment ) }
 *   labels      = '''' { character | '''''' | '\' character } '''' { ',' … }
 */
import { SluiceError } from '../../../core/errors/error.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import type { MysqlColumn, MysqlType, ValuePolicies } from '../types.ts'

/** The logical type of a column. Pure; the same for the first copy and for the stream. */
export function logicalType(type: MysqlType, policies: ValuePolicies): LogicalType {
  switch (type.kind) {
    case 'int':
      return integerType(type, policies)
    case 'decimal':
      return { kind: 'decimal', precision: type.precision, scale: type.scale }
    case 'float':
      return { kind: 'float32' }
    case 'double':
      return { kind: 'float64' }
    case 'bit':
      return { kind: type.bits === 1 ? 'bool' : 'uint64' }
    case 'year':
    case 'year2':
      return { kind: 'int16' }
    case 'date':
    case 'datetime':
    case 'timestamp':
      if (policies.zeroDates === 'text') return { kind: 'text' }
      if (type.kind === 'date') return { kind: 'date' }
      return { kind: type.kind === 'datetime' ? 'timestamp' : 'timestamptz' }
    case 'time':
      return { kind: 'time' }
    case 'text':
    case 'enum':
    case 'set':
      return { kind: 'text' }
    case 'bytes':
    case 'geometry':
      return { kind: 'bytes' }
    case 'json':
      return { kind: 'json' }
    case 'vector':
      return { kind: 'list', element: { kind: 'float32' } }
    case 'uuid':
      return { kind: 'uuid' }
    case 'inet4':
    case 'inet6':
      return { kind: 'other', name: type.kind }
    case 'unknown':
      return { kind: 'other', name: type.name }
  }
}

function integerType(
  { bytes, unsigned, displayOne }: MysqlType & { kind: 'int' },
  { tinyint1 }: ValuePolicies,
): LogicalType {
  if (bytes === 1) return { kind: displayOne && tinyint1 === 'bool' ? 'bool' : 'int16' }
  if (bytes === 2) return { kind: unsigned ? 'int32' : 'int16' }
  if (bytes === 3) return { kind: 'int32' }
  if (bytes === 4) return { kind: unsigned ? 'int64' : 'int32' }
  return { kind: unsigned ? 'uint64' : 'int64' }
}

/** Whether the field may be null: the column may, or its zero dates are read as null. */
export function isNullable({ type, nullable }: MysqlColumn, policies: ValuePolicies): boolean {
  const isDate = type.kind === 'date' || type.kind === 'datetime' || type.kind === 'timestamp'
  return nullable || (isDate && policies.zeroDates === 'null')
}

/** What the catalog says about a column beside COLUMN_TYPE. */
export interface ColumnFacts {
  /** CHARACTER_SET_NAME; null for what is no text. */
  readonly charset: string | null
  /** MariaDB: LONGTEXT with a check of json_valid, which is what its JSON is. */
  readonly isJson: boolean
}

const integerBytes: Readonly<Record<string, 1 | 2 | 3 | 4 | 8>> = {
  tinyint: 1,
  smallint: 2,
  mediumint: 3,
  int: 4,
  integer: 4,
  bigint: 8,
}
const textNames = /^(?:char|varchar|tinytext|text|mediumtext|longtext)$/
const bytesNames = /^(?:varbinary|tinyblob|blob|mediumblob|longblob)$/
const geometryNames =
  /^(?:geometry|point|linestring|polygon|multipoint|multilinestring|multipolygon|geometrycollection|geomcollection)$/

/** INFORMATION_SCHEMA.COLUMNS.COLUMN_TYPE as a type. A type that is not known here is `unknown`. */
export function parseColumnType(columnType: string, facts: ColumnFacts): MysqlType {
  const [, written = ''] = /^\s*(\w+)/.exec(columnType) ?? []
  const name = written.toLowerCase()
  const bytes = integerBytes[name]
  if (bytes !== undefined) {
    return {
      kind: 'int',
      bytes,
      unsigned: /\bunsigned\b/i.test(columnType),
      displayOne: /^\s*tinyint\(1\)/i.test(columnType),
    }
  }
  if (name === 'enum' || name === 'set') return { kind: name, labels: parseLabels(columnType) }
  if (textNames.test(name)) return textType(facts)
  if (bytesNames.test(name)) return { kind: 'bytes', fixed: null }
  if (geometryNames.test(name)) return { kind: 'geometry' }
  const [first, second] = numbersOf(columnType)
  switch (name) {
    case 'decimal':
    case 'numeric':
      return { kind: 'decimal', precision: first ?? 10, scale: second ?? 0 }
    case 'year':
      return { kind: first === 2 ? 'year2' : 'year' }
    case 'float':
    case 'double':
    case 'date':
    case 'json':
    case 'vector':
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return { kind: name }
    case 'bit':
      return { kind: 'bit', bits: first ?? 1 }
    case 'time':
    case 'datetime':
    case 'timestamp':
      return { kind: name, fraction: first ?? 0 }
    case 'binary':
      return { kind: 'bytes', fixed: first ?? 1 }
    default:
      return { kind: 'unknown', name: name === '' ? 'unknown' : name }
  }
}

/** Only UTF-8 can be passed on as JSON; a check on a column of another character set leaves it text. */
function textType({ charset, isJson }: ColumnFacts): MysqlType {
  const name = charset ?? 'utf8mb4'
  if (isJson && isUtf8(name)) return { kind: 'json' }
  return name === 'binary' ? { kind: 'bytes', fixed: null } : { kind: 'text', charset: name }
}

export function isUtf8(charset: string): boolean {
  return charset === 'utf8mb4' || charset === 'utf8mb3' || charset === 'utf8' || charset === 'ascii'
}

function numbersOf(columnType: string): [first?: number, second?: number] {
  const [, first, second] = /\((\d+)(?:,(\d+))?\)/.exec(columnType) ?? []
  if (first === undefined) return []
  return second === undefined ? [Number(first)] : [Number(first), Number(second)]
}

/** What the server writes for a character after a backslash; every other stands for itself. */
const escapes: Readonly<Record<string, string>> = { '0': '\0', n: '\n', r: '\r' }

/**
 * The labels of an enum or set, as `append_unescaped` writes them (sql/sql_show.cc): quotes doubled,
 * backslash, line ends and zero bytes escaped whatever the SQL mode. Commas and parentheses inside
 * quotes are the label's own.
 */
function parseLabels(columnType: string): string[] {
  const labels: string[] = []
  let at = columnType.indexOf('(') + 1
  while (columnType[at] === "'") {
    let label = ''
    for (at++; at < columnType.length; at++) {
      const character = columnType[at]!
      if (character === "'") {
        if (columnType[at + 1] !== "'") break
        at++
        label += "'"
      } else if (character === '\\') {
        at++
        const escaped = columnType[at] ?? ''
        label += escapes[escaped] ?? escaped
      } else label += character
    }
    labels.push(label)
    at++
    if (columnType[at] === ',') at++
  }
  if (labels.length === 0 || columnType[at] !== ')') {
    throw new SluiceError('source.mysql.protocol', {
      message: 'The catalog describes an enum or set in a form that Sluice does not know.',
    })
  }
  return labels
}
