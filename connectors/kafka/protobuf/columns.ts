/**
 * The columns of messages, and how one message gets into them.
 *
 *   double, float, bool                 float64, float32, bool
 *   int32, sint32, sfixed32             int32
 *   uint32, fixed32 and 64-bit integers int64; uint64, fixed64: uint64
 *   string, enum                        text (an enum's number where the schema has no name for it)
 *   bytes                               bytes
 *   repeated of any of these            list<…>
 *   google.protobuf.Timestamp, Duration timestamptz, interval
 *   google.protobuf.…Value (wrappers)   the column of their value, NULL where they are not there
 *   other messages, maps, other repeated ones                         json
 *
 * NULL is what a field with presence is that is not there: `optional`, members of a oneof, messages.
 * Other fields have their default value then.
 */
import type { Field } from '../../../core/record/schema.ts'
import { sameType, type LogicalType, type SimpleKind } from '../../../core/record/types.ts'
import type { ProtoField, ProtoMessage, ProtoScalar, ProtoType } from './model.ts'

const scalarKinds: Readonly<Record<ProtoScalar, SimpleKind>> = {
  double: 'float64',
  float: 'float32',
  int32: 'int32',
  sint32: 'int32',
  sfixed32: 'int32',
  uint32: 'int64',
  fixed32: 'int64',
  int64: 'int64',
  sint64: 'int64',
  sfixed64: 'int64',
  uint64: 'uint64',
  fixed64: 'uint64',
  bool: 'bool',
  string: 'text',
  bytes: 'bytes',
}

export function columnType({ type, isRepeated }: ProtoField): LogicalType {
  if (!isRepeated) return singularType(type)
  const element = type.kind === 'message' ? null : singularType(type)
  return element === null ? { kind: 'json' } : { kind: 'list', element }
}

function singularType(type: ProtoType): LogicalType {
  switch (type.kind) {
    case 'scalar':
      return { kind: scalarKinds[type.scalar] }
    case 'enum':
      return { kind: 'text' }
    case 'message':
      return messageType(type.message)
  }
}

function messageType({ wellKnown, fields }: ProtoMessage): LogicalType {
  if (wellKnown === 'Timestamp') return { kind: 'timestamptz' }
  if (wellKnown === 'Duration') return { kind: 'interval' }
  return wellKnown === 'wrapper' ? singularType(fields[0]!.type) : { kind: 'json' }
}

/** Whether a column of that type takes all that the field can hold. */
function holds(column: LogicalType, field: ProtoField): boolean {
  if (column.kind === 'json') return true
  const own = columnType(field)
  if (column.kind === 'list') return own.kind === 'list' && holdsScalar(column.element, own.element)
  return holdsScalar(column, own)
}

function holdsScalar(column: LogicalType, own: LogicalType): boolean {
  if (sameType(column, own)) return true
  if (column.kind === 'int64') return own.kind === 'int32'
  return column.kind === 'float64' && (own.kind === 'float32' || own.kind === 'int32')
}

/** One column of a row. */
export interface ProtoStep {
  readonly name: string
  readonly column: LogicalType
  /** null: the message has no such field. */
  readonly field: ProtoField | null
  /** What is read where the message has none; null = NULL. */
  readonly absent: ProtoField | null
  /** Whether values of the message fit the column. */
  readonly fits: boolean
}

export interface ProtoColumns {
  readonly fields: readonly Field[]
  /** Per message, one step a field. */
  readonly plans: readonly (readonly ProtoStep[])[]
}

interface Column {
  readonly name: string
  /** Per message, newest first. */
  readonly written: (ProtoField | undefined)[]
}

/**
 * The columns of several messages, newest first: versions of one, whose fields are the same by their
 * numbers, or different ones, whose fields are the same by their names. Nothing that a message holds
 * has no column.
 */
export function protoColumns(messages: readonly ProtoMessage[]): ProtoColumns {
  const columns = columnsOf(messages)
  const isOne = messages.every(({ name }) => name === messages[0]!.name)
  const plans: ProtoStep[][] = messages.map(() => [])
  const fields = columns.map(({ name, written }): Field => {
    const present = written.filter((field) => field !== undefined)
    const types = present.map(columnType)
    const column = types.find((type) => present.every((field) => holds(type, field))) ?? types[0]!
    // A version without the field says what every reader of the message would: its default.
    const [newest] = present
    const absent = isOne && newest?.hasPresence === false && !newest.isRequired ? newest : null
    messages.forEach((_, i) => {
      const field = written[i] ?? null
      plans[i]!.push({ name, column, field, absent, fits: field === null || holds(column, field) })
    })
    const nullable = written.some((field) =>
      field === undefined ? absent === null : field.hasPresence && !field.isRequired,
    )
    return { name, type: column, nullable }
  })
  return { fields, plans }
}

function columnsOf(messages: readonly ProtoMessage[]): readonly Column[] {
  const columns: Column[] = []
  messages.forEach((message, at) => {
    for (const field of message.fields) {
      const isFree = ({ written }: Column): boolean => written[at] === undefined
      const sameNumber = columns.find((column) =>
        column.written.some(
          (other, i) => messages[i]!.name === message.name && other?.number === field.number,
        ),
      )
      const sameName = columns.find(({ name }) => name === field.name)
      const column = [sameNumber, sameName].find((found) => found !== undefined && isFree(found))
      if (column !== undefined) column.written[at] = field
      else {
        const name = sameName === undefined ? field.name : `${field.name}_${field.number}`
        columns.push({ name, written: messages.map((_, i) => (i === at ? field : undefined)) })
      }
    }
  })
  return columns
}
