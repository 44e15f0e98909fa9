/** Protobuf messages as the wire reader wants them: numbers, types and names, nothing else. */
export type ProtoScalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes'

export type ProtoType =
  | { readonly kind: 'scalar'; readonly scalar: ProtoScalar }
  /** Names by number; the first of several names of one. */
  | { readonly kind: 'enum'; readonly names: ReadonlyMap<number, string>; readonly first: number }
  | { readonly kind: 'message'; readonly message: ProtoMessage }

export interface ProtoField {
  readonly number: number
  /** As the .proto file has it: what a column is called. */
  readonly name: string
  /** `"jsonName":`, as JSON has it. */
  readonly label: string
  readonly type: ProtoType
  readonly isRepeated: boolean
  /** Repeated entries of key = 1 and value = 2. */
  readonly isMap: boolean
  /** Whether "not there" is told from the default value. */
  readonly hasPresence: boolean
  readonly isRequired: boolean
  /** Of the message's oneofs; −1 = in none. */
  readonly oneof: number
  /** Index in the message's fields. */
  readonly place: number
  /** Of one value that stands alone; 3 = a group. */
  readonly wire: number
}

/** Messages of google/protobuf/*.proto that JSON and columns have forms of their own for. */
export type WellKnown =
  'Timestamp' | 'Duration' | 'wrapper' | 'Struct' | 'Value' | 'ListValue' | 'FieldMask' | 'Any'

export interface ProtoMessage {
  /** With its package: `shop.Order`. */
  readonly name: string
  readonly wellKnown: WellKnown | null
  /** Filled after the message itself is known: messages may contain themselves. */
  readonly fields: ProtoField[]
  readonly byNumber: Map<number, ProtoField>
}

/** By name, the types of the fields that they have to have, in order. */
const wellKnownShapes: Readonly<Record<string, readonly [WellKnown, ...string[]]>> = {
  'google.protobuf.Timestamp': ['Timestamp', 'int64', 'int32'],
  'google.protobuf.Duration': ['Duration', 'int64', 'int32'],
  'google.protobuf.Struct': ['Struct', 'Value'],
  'google.protobuf.Value': [
    'Value',
    'NullValue',
    'double',
    'string',
    'bool',
    'Struct',
    'ListValue',
  ],
  'google.protobuf.ListValue': ['ListValue', 'Value'],
  'google.protobuf.FieldMask': ['FieldMask', 'string'],
  'google.protobuf.Any': ['Any', 'string', 'bytes'],
  'google.protobuf.DoubleValue': ['wrapper', 'double'],
  'google.protobuf.FloatValue': ['wrapper', 'float'],
  'google.protobuf.Int64Value': ['wrapper', 'int64'],
  'google.protobuf.UInt64Value': ['wrapper', 'uint64'],
  'google.protobuf.Int32Value': ['wrapper', 'int32'],
  'google.protobuf.UInt32Value': ['wrapper', 'uint32'],
  'google.protobuf.BoolValue': ['wrapper', 'bool'],
  'google.protobuf.StringValue': ['wrapper', 'string'],
  'google.protobuf.BytesValue': ['wrapper', 'bytes'],
}

/** null: it is none, or somebody's own message under such a name. */
export function wellKnownOf(name: string, types: readonly string[]): WellKnown | null {
  const shape = Object.hasOwn(wellKnownShapes, name) ? wellKnownShapes[name] : undefined
  if (shape === undefined) return null
  const [known, ...wanted] = shape
  return wanted.join() === types.join() ? known : null
}

const scalarWires: Readonly<Record<ProtoScalar, number>> = {
  double: 1,
  float: 5,
  int32: 0,
  int64: 0,
  uint32: 0,
  uint64: 0,
  sint32: 0,
  sint64: 0,
  fixed32: 5,
  fixed64: 1,
  sfixed32: 5,
  sfixed64: 1,
  bool: 0,
  string: 2,
  bytes: 2,
}

/** null: no scalar is called so. */
export function scalarOf(name: string): ProtoScalar | null {
  return Object.hasOwn(scalarWires, name) ? (name as ProtoScalar) : null
}

export function wireOf(type: ProtoType, isGroup: boolean): number {
  if (type.kind === 'scalar') return scalarWires[type.scalar]
  return type.kind === 'enum' ? 0 : isGroup ? 3 : 2
}
