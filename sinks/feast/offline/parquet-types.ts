/**
 * Which Parquet type holds which of Feast's value types (parquet-format, LogicalTypes.md), chosen so
 * that Arrow, pandas and Feast's FileSource (0.67, type_map.py, pa_to_feast_value_type) read the very
 * value.
 *
 *   bool, int32, float, double  BOOLEAN, INT32, FLOAT, DOUBLE
 *   int64                       INT64; UINT_64 where the column is unsigned
 *   decimal                     of decimal(p, s), p ≤ 18: INT64, DECIMAL; p ≤ 38: 16 bytes big-endian,
 *                               DECIMAL; of 64-bit integers DECIMAL(20, 0); any other UTF8: its digits
 *   unix_timestamp              INT64, TIMESTAMP(µs, UTC); a date is its midnight
 *   string, json, uuid          BYTE_ARRAY, UTF8; what is no text is as PostgreSQL prints it
 *   bytes                       BYTE_ARRAY
 *   list                        LIST
 *
 * A list's element is named `item`: Feast finds the type of `list<item: string>` and not that of
 * `list<element: string>`.
 *
 * Values are handed to the writer, and taken from the reader, as the physical type has them. The
 * libraries' own conversions go through doubles and milliseconds and would change values.
 */
import type { SchemaElement } from 'hyparquet'
import type { LogicalType } from '../../../core/record/types.ts'
import type { FeastType, ScalarName } from '../types.ts'

export type Physical =
  'bool' | 'int32' | 'int64' | 'uint64' | 'float' | 'double' | 'text' | 'bytes' | 'fixed16'

export type ParquetType =
  | {
      readonly physical: Physical
      /** What the file's schema says of the values beside their physical type. */
      readonly annotation: Partial<SchemaElement>
    }
  | { readonly physical: 'list'; readonly element: ParquetType }

export interface ParquetField {
  readonly name: string
  readonly type: ParquetType
  readonly required: boolean
}

const utf8: Partial<SchemaElement> = { converted_type: 'UTF8', logical_type: { type: 'STRING' } }
export const timestampType: ParquetType = {
  physical: 'int64',
  annotation: {
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
}
const decimalInt64Max = 18
const decimalPrecisionMax = 38
/** Digits of 2^64. */
const int64Digits = 20

export function parquetType(logical: LogicalType, type: FeastType): ParquetType {
  if (type.kind === 'list') {
    const element = logical.kind === 'list' ? logical.element : logical
    return { physical: 'list', element: parquetType(element, type.element) }
  }
  return scalarType(logical, type.name)
}

function scalarType(logical: LogicalType, name: ScalarName): ParquetType {
  switch (name) {
    case 'bool':
    case 'int32':
    case 'float':
    case 'double':
    case 'bytes':
      return { physical: name, annotation: {} }
    case 'int64':
      if (logical.kind !== 'uint64') return { physical: 'int64', annotation: {} }
      // Not the logical type of the same meaning: the writer gives its width in a form that is not
      // the format's, and Arrow then refuses the file.
      return { physical: 'uint64', annotation: { converted_type: 'UINT_64' } }
    case 'decimal':
      if (logical.kind === 'decimal') return decimalType(logical.precision, logical.scale ?? 0)
      return decimalType(int64Digits, 0)
    case 'unix_timestamp':
      return timestampType
    case 'string':
    case 'json':
    case 'uuid':
      return { physical: 'text', annotation: utf8 }
  }
}

/** A decimal that Parquet's DECIMAL holds: its precision is known and its scale lies within it. */
function decimalType(precision: number | null, scale: number): ParquetType {
  if (precision === null || precision > decimalPrecisionMax || scale < 0 || scale > precision)
    return { physical: 'text', annotation: utf8 }
  const annotation: Partial<SchemaElement> = {
    converted_type: 'DECIMAL',
    precision,
    scale,
    logical_type: { type: 'DECIMAL', precision, scale },
  }
  return { physical: precision <= decimalInt64Max ? 'int64' : 'fixed16', annotation }
}

const physicalElements: Readonly<Record<Physical, Partial<SchemaElement>>> = {
  bool: { type: 'BOOLEAN' },
  int32: { type: 'INT32' },
  int64: { type: 'INT64' },
  uint64: { type: 'INT64' },
  float: { type: 'FLOAT' },
  double: { type: 'DOUBLE' },
  text: { type: 'BYTE_ARRAY' },
  bytes: { type: 'BYTE_ARRAY' },
  fixed16: { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16 },
}

/** The schema of a file, as readers are told it. */
export function schemaElements(fields: readonly ParquetField[]): SchemaElement[] {
  const elements = fields.flatMap(({ name, type, required }) =>
    typeElements(name, type, required ? 'REQUIRED' : 'OPTIONAL'),
  )
  return [{ name: 'schema', num_children: fields.length }, ...elements]
}

function typeElements(
  name: string,
  type: ParquetType,
  repetition: 'REQUIRED' | 'OPTIONAL',
): SchemaElement[] {
  if (type.physical !== 'list') {
    const leaf = { ...physicalElements[type.physical], ...type.annotation }
    return [{ ...leaf, name, repetition_type: repetition }]
  }
  return [
    {
      name,
      repetition_type: repetition,
      num_children: 1,
      converted_type: 'LIST',
      logical_type: { type: 'LIST' },
    },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    ...typeElements('item', type.element, 'OPTIONAL'),
  ]
}

/**
 * The same schema without what makes writer and reader convert values: what is left is physical types,
 * lists, and UINT_64, which lets values beyond 2^63 pass.
 */
export function physicalSchema(elements: readonly SchemaElement[]): SchemaElement[] {
  return elements.map((element) => {
    const { converted_type, logical_type: _, ...rest } = element
    const kept = converted_type === 'LIST' || converted_type === 'UINT_64'
    return kept ? { ...rest, converted_type } : rest
  })
}

/** Names of the columns, which a list's inner elements are not. */
export function columnNames(elements: readonly SchemaElement[]): string[] {
  const names: string[] = []
  for (let i = 1; i < elements.length; i = afterElement(elements, i)) names.push(elements[i]!.name)
  return names
}

/** Index after the element and all that is inside it. */
function afterElement(elements: readonly SchemaElement[], index: number): number {
  let next = index + 1
  for (let i = 0; i < (elements[index]?.num_children ?? 0); i++) {
    next = afterElement(elements, next)
  }
  return next
}

/** The innermost element of a column: that of its values; null when there is no such column. */
export function leafOf(elements: readonly SchemaElement[], name: string): SchemaElement | null {
  for (let i = 1; i < elements.length; i = afterElement(elements, i)) {
    if (elements[i]!.name === name) return elements[afterElement(elements, i) - 1]!
  }
  return null
}
