/**
 * TUMBLE(time, size [, offset]) as a group window, with TUMBLE_START and TUMBLE_END. A window is the
 * half-open span [start, start + size); starts are whole multiples of the size since 1970, shifted by
 * the offset, also before 1970.
 */
import { unsupported } from '../parse/expression.ts'
import { sqlError, type Span } from '../parse/span.ts'
import type { CallSyntax, SyntaxExpr } from '../parse/syntax.ts'
import { Interval } from '../scalar/interval.ts'
import { cast } from './casts.ts'
import { call, constant, isUnknown, type Expr } from './expr.ts'
import { simple, sqlName } from './types.ts'

const dayUs = 86_400_000_000
const int64 = simple('int64')

/** The window's start or end as an expression; null when the call is no window function. */
export function windowCall(expr: CallSyntax, bind: (arg: SyntaxExpr) => Expr): Expr | null {
  const { name, args, span } = expr
  if (
    ['hop', 'hop_start', 'hop_end', 'session', 'session_start', 'session_end', 'cumulate'].includes(
      name,
    )
  )
    throw unsupported(span, `${name.toUpperCase()} windows are not supported`, 'Use TUMBLE.')
  if (name !== 'tumble' && name !== 'tumble_start' && name !== 'tumble_end') return null
  const [timeArg, sizeArg, offsetArg] = args
  if (timeArg === undefined || sizeArg === undefined || args.length > 3)
    throw sqlError(
      'sql.unknown_function',
      span,
      `${name.toUpperCase()} takes a time, a size and an offset`,
    )
  let time = bind(timeArg)
  if (time.type.kind === 'date') time = cast(time, simple('timestamp'), timeArg.span)
  if (time.type.kind !== 'timestamp' && time.type.kind !== 'timestamptz')
    throw sqlError(
      'sql.type',
      timeArg.span,
      `A window needs a timestamp, and this is ${sqlName(time.type)}`,
      {
        remedy: 'Cast it, as in column::timestamptz or to_timestamp(seconds).',
      },
    )
  const size = lengthUs(bind(sizeArg), sizeArg.span)
  if (size <= 0) throw sqlError('sql.type', sizeArg.span, 'The size of a window must be positive')
  const offset = offsetArg === undefined ? 0 : lengthUs(bind(offsetArg), offsetArg.span)
  const start = call(
    'windowStart',
    [time, constant(size, int64), constant(offset, int64)],
    time.type,
  )
  return name === 'tumble_end'
    ? call('windowEnd', [start, constant(size, int64)], time.type)
    : start
}

function lengthUs(expr: Expr, span: Span): number {
  const value = isUnknown(expr) ? cast(expr, simple('interval'), span) : expr
  if (value.op !== 'const' || !(value.value instanceof Interval))
    throw unsupported(
      span,
      'The size and offset of a window must be literal intervals',
      "Write INTERVAL '…'.",
    )
  const { months, days, us } = value.value
  if (months !== 0)
    throw unsupported(
      span,
      'Windows of months or years are not supported, because months differ in length',
      "Use GROUP BY date_trunc('month', time).",
    )
  const total = days * dayUs + Number(us)
  if (!Number.isSafeInteger(total)) throw sqlError('sql.type', span, 'This interval is too long')
  return total
}
