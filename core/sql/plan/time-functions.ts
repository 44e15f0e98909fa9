/** date_trunc, extract, date_part, to_timestamp, AT TIME ZONE 'UTC'. */
import type { LogicalType } from '../../record/types.ts'
import { unsupported } from '../parse/expression.ts'
import { sqlError, type Span } from '../parse/span.ts'
import { extraFields, fieldScales } from '../scalar/extract.ts'
import type { ScalarName } from '../scalar/functions.ts'
import { truncationUnits } from '../scalar/time.ts'
import { cast } from './casts.ts'
import { call, constant, isUnknown, type Expr } from './expr.ts'
import { decimalType, simple, sqlName } from './types.ts'

const text = simple('text')
const float64 = simple('float64')

/** null when the name is none of these. */
export function timeFunction(name: string, args: readonly Expr[], span: Span): Expr | null {
  switch (name) {
    case 'date_trunc':
      return dateTrunc(args, span)
    case 'extract':
      return extractField(args, span)
    case 'date_part': {
      const field = extractField(args, span)
      return field === null ? null : { ...cast(field, float64, span), nullable: field.nullable }
    }
    case 'to_timestamp':
      return args.length === 1
        ? call('timestampFromSeconds', [cast(args[0]!, float64, span)], simple('timestamptz'))
        : null
    case 'timezone':
      return atTimeZone(args, span)
    default:
      return null
  }
}

function constantText(expr: Expr | undefined, what: string, span: Span): string {
  if (expr?.op !== 'const' || typeof expr.value !== 'string')
    throw unsupported(span, `${what} must be a quoted literal`)
  return expr.value.toLowerCase()
}

function dateTrunc(args: readonly Expr[], span: Span): Expr | null {
  const [unitExpr, value] = args
  if (value === undefined || args.length > 2) return null
  const unit = truncationUnits[constantText(unitExpr, 'The unit of date_trunc', span)]
  if (unit === undefined) throw sqlError('sql.type', span, 'date_trunc does not know this unit')
  const arg =
    isUnknown(value) || value.type.kind === 'date'
      ? cast(value, simple('timestamptz'), span)
      : value
  if (arg.type.kind !== 'timestamp' && arg.type.kind !== 'timestamptz')
    throw unsupported(span, `date_trunc of ${sqlName(arg.type)} is not supported`)
  return call('timestampTruncate', [constant(unit, text), arg], arg.type)
}

const extractors: Readonly<Record<string, ScalarName>> = {
  timestamp: 'extractTimestamp',
  timestamptz: 'extractTimestamp',
  date: 'extractDate',
  time: 'extractTime',
  interval: 'extractInterval',
}
const clockFields = new Set(['hour', 'minute', 'second', 'milliseconds', 'microseconds'])
const timeFields = new Set([...clockFields, 'epoch'])
const intervalFields = new Set([...timeFields, 'year', 'quarter', 'month', 'day'])

function extractField(args: readonly Expr[], span: Span): Expr | null {
  const [fieldExpr, arg] = args
  if (arg === undefined || args.length > 2) return null
  const name = constantText(fieldExpr, 'The field', span)
  const field = truncationUnits[name] ?? extraFields[name]
  const { kind } = arg.type
  const fn = extractors[kind]
  if (fn === undefined) return null
  if (field === undefined || !hasField(kind, field))
    throw sqlError('sql.type', span, `There is no field ${name} in ${sqlName(arg.type)}`)
  const scale = kind === 'date' ? 0 : (fieldScales[field] ?? 0)
  const type = decimalType(field === 'epoch' ? 19 : 10, scale)
  // Fields that do not grow are null for ±infinity.
  const partial = kind === 'timestamp' || kind === 'timestamptz' || kind === 'date'
  return call(fn, [constant(field, text), arg], type, partial)
}

function hasField(kind: LogicalType['kind'], field: string): boolean {
  if (kind === 'time') return timeFields.has(field)
  if (kind === 'interval') return intervalFields.has(field)
  return kind !== 'date' || !clockFields.has(field)
}

/** The engine's session runs in UTC; other zones need rules that change with the years. */
function atTimeZone(args: readonly Expr[], span: Span): Expr | null {
  const [zone, value] = args
  if (value === undefined) return null
  const name = constantText(zone, 'The time zone', span)
  if (!['utc', 'gmt', 'etc/utc', 'z', 'zulu'].includes(name))
    throw unsupported(
      span,
      "Only AT TIME ZONE 'UTC' is supported",
      'Convert to UTC, or shift by an interval.',
    )
  const arg = isUnknown(value) ? cast(value, simple('timestamptz'), span) : value
  if (arg.type.kind === 'timestamptz') return cast(arg, simple('timestamp'), span)
  if (arg.type.kind === 'timestamp' || arg.type.kind === 'date')
    return cast(cast(arg, simple('timestamp'), span), simple('timestamptz'), span)
  return null
}
