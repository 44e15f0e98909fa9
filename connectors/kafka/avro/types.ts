/**
 * Avro schemas as a tree (Apache Avro 1.12, "Specification"): names resolved, logical types that do not
 * fit their type forgotten, as the specification asks. Records may contain themselves.
 */
export type AvroType =
  | AvroPlainType
  | AvroDecimal
  | AvroFixed
  | AvroEnum
  | (Named & { readonly kind: 'array'; readonly items: AvroType })
  | (Named & { readonly kind: 'map'; readonly values: AvroType })
  | AvroRecord
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }

export type AvroPlain =
  'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'

export type AvroLogical =
  | 'date'
  | 'time-millis'
  | 'time-micros'
  | 'timestamp-millis'
  | 'timestamp-micros'
  | 'timestamp-nanos'
  | 'local-timestamp-millis'
  | 'local-timestamp-micros'
  | 'local-timestamp-nanos'
  | 'uuid'

export interface AvroPlainType extends Named {
  readonly kind: AvroPlain
  readonly logical: AvroLogical | null
}

/** What Kafka Connect's converter says of the type: `connect.name`, `connect.type` (int16), parameters. */
interface Named {
  readonly connect?: {
    /** '' = none, as of `type`. */
    readonly name: string
    readonly type: string
    readonly parameters: Readonly<Record<string, string>>
  }
}

/** Two's complement, most significant byte first, times 10^-scale. */
export interface AvroDecimal extends Named {
  readonly kind: 'decimal'
  /** Of its fixed type, or `bytes`. */
  readonly name: string
  /** Bytes of its fixed type; null = as many as it says. */
  readonly size: number | null
  readonly precision: number
  readonly scale: number
}

export interface AvroFixed extends Named {
  readonly kind: 'fixed'
  readonly name: string
  readonly size: number
  readonly logical: 'uuid' | 'duration' | null
}

export interface AvroEnum extends Named {
  readonly kind: 'enum'
  readonly name: string
  readonly symbols: readonly string[]
  /** The symbols in UTF-8. */
  readonly texts: readonly Uint8Array[]
}

export interface AvroRecord extends Named {
  readonly kind: 'record'
  /** With its namespace: `com.shop.Order`. */
  readonly name: string
  /** Filled after the record itself is known by its name. */
  readonly fields: AvroField[]
}

export interface AvroField {
  readonly name: string
  /** `"name":`, as JSON has it. */
  readonly label: string
  readonly type: AvroType
  readonly aliases: readonly string[]
  /** The JSON value of `default`; absent where there is none. */
  readonly default?: unknown
}

/** How a branch of a union is called in Avro's JSON encoding. */
export function branchName(type: AvroType): string {
  switch (type.kind) {
    case 'record':
    case 'enum':
    case 'fixed':
    case 'decimal':
      return type.name
    default:
      return type.kind
  }
}

/** The branches but null; all there is where it is no union. */
export function branchesOf(type: AvroType): readonly AvroType[] {
  const all = type.kind === 'union' ? type.branches : [type]
  return all.filter(({ kind }) => kind !== 'null')
}
