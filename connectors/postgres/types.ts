/**
 * PostgreSQL types → logical types. Enums are text: their labels are the value, and a label added
 * later must not change the schema. Domains are their base type. A type without a meaning of its own
 * here is `other`, whose value is the exact text that the type's output function prints.
 */
import type { LogicalType, SimpleKind } from '../../core/record/types.ts'

/** A row of pg_type, as far as it matters here. */
export interface PgType {
  readonly oid: number
  readonly name: string
  /** pg_type.typtype: base, composite, domain, enum, pseudo, range, multirange. */
  readonly kind: string
  /** Domains: the type below, and the type modifier it has there (−1 = none); else 0. */
  readonly base: number
  readonly baseTypmod: number
  /** True arrays (not int2vector and its like): the type of the elements; else 0. */
  readonly element: number
  /** What stands between two elements of an array of this type: `,`, for box `;`. */
  readonly delimiter: string
}

/** Types by oid; throws for an oid that was not loaded. */
export interface TypeLookup {
  get(oid: number): PgType
}

/** src/include/catalog/pg_type.dat: these oids are the same in every server. */
const simpleKinds: ReadonlyMap<number, SimpleKind> = new Map<number, SimpleKind>([
  [16, 'bool'],
  [17, 'bytes'],
  [18, 'text'], // "char"
  [19, 'text'], // name
  [20, 'int64'],
  [21, 'int16'],
  [23, 'int32'],
  [25, 'text'],
  [26, 'int64'], // oid: unsigned 32 bits, up to 4294967295
  [114, 'json'],
  [700, 'float32'],
  [701, 'float64'],
  [1042, 'text'], // bpchar: keeps its padding, as the server prints it
  [1043, 'text'],
  [1082, 'date'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1186, 'interval'],
  [2950, 'uuid'],
  [3802, 'json'],
])
const numericOid = 1700

/** The logical type of a column of type `oid` with type modifier `typmod` (−1 = none). */
export function logicalType(oid: number, typmod: number, types: TypeLookup): LogicalType {
  const simple = simpleKinds.get(oid)
  if (simple !== undefined) return { kind: simple }
  if (oid === numericOid) return numericType(typmod)
  const type = types.get(oid)
  if (type.kind === 'd') return logicalType(type.base, type.baseTypmod, types)
  if (type.kind === 'e') return { kind: 'text' }
  if (type.element !== 0) {
    const element = types.get(type.element)
    // Elements are found by their commas; an array that separates them otherwise stays exact text.
    if (element.delimiter !== ',') return { kind: 'other', name: `${element.name}[]` }
    // The type modifier of an array column is that of its elements.
    return { kind: 'list', element: logicalType(type.element, typmod, types) }
  }
  return { kind: 'other', name: type.name }
}

/**
 * src/backend/utils/adt/numeric.c, make_numeric_typmod: (precision << 16 | scale & 0x7ff) + 4, the
 * scale in 11 bits with a sign (negative and larger than the precision from PostgreSQL 15 on).
 */
function numericType(typmod: number): LogicalType {
  if (typmod < 4) return { kind: 'decimal', precision: null, scale: null }
  const packed = typmod - 4
  return {
    kind: 'decimal',
    precision: (packed >> 16) & 0xffff,
    scale: ((packed & 0x7ff) ^ 1024) - 1024,
  }
}
