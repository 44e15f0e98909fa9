/**
 * Scalar functions by SQL name: parameters, result and the run-time function. Arguments are cast
 * where PostgreSQL casts by itself. Functions whose result type depends on their arguments are in
 * numeric-functions.ts and time-functions.ts.
 */
import type { LogicalType } from '../../record/types.ts'
import type { Span } from '../parse/span.ts'
import { sqlError } from '../parse/span.ts'
import { cast, fold } from './casts.ts'
import { call, constant, isUnknown, type Expr } from './expr.ts'
import { signatures, unknownFunctionRemedy, type Signature } from './function-table.ts'
import { numericFunction } from './numeric-functions.ts'
import { timeFunction } from './time-functions.ts'
import { isNumeric, numericRank, simple, sqlName } from './types.ts'

const text = simple('text')
const int32 = simple('int32')

/** Functions whose answer is not determined by the row. */
const nondeterministic = new Set([
  'now',
  'random',
  'clock_timestamp',
  'statement_timestamp',
  'transaction_timestamp',
  'timeofday',
  'gen_random_uuid',
  'uuidv4',
  'uuidv7',
  'nextval',
  'proctime',
])

/** Numeric versions of these compute to arbitrary precision, which this engine does not. */
const floatOnly = new Set(['exp', 'ln', 'sqrt', 'power', 'pow'])

/** A call of a scalar function on bound arguments. Throws `sql.unknown_function` and its like. */
export function scalarCall(name: string, args: readonly Expr[], span: Span): Expr {
  if (nondeterministic.has(name))
    throw sqlError(
      'sql.nondeterministic',
      span,
      `${name}() gives another answer each time, so that a row could not be taken back later`,
    )
  if (name === 'concat') return concat(args, span)
  if (name === 'concat_ws') return concatWs(args, span)
  if (floatOnly.has(name) && args.some((arg) => arg.type.kind === 'decimal'))
    throw sqlError('sql.unsupported', span, `${name}() of numeric is not supported`, {
      remedy: `Cast to double precision, as in ${name}(x::float8).`,
    })
  const special = numericFunction(name, args, span) ?? timeFunction(name, args, span)
  if (special !== null) return fold(special)
  for (const signature of signatures[name] ?? []) {
    const matched = match(signature, args, span)
    if (matched !== null) return fold(matched)
  }
  const types = args.map((arg) => (isUnknown(arg) ? 'unknown' : sqlName(arg.type))).join(', ')
  throw sqlError('sql.unknown_function', span, `There is no function ${name}(${types})`, {
    remedy: unknownFunctionRemedy(name),
  })
}

function match(signature: Signature, args: readonly Expr[], span: Span): Expr | null {
  const { params, result, fn, extra = [], partial = false } = signature
  if (args.length !== params.length) return null
  if (!args.every((arg, i) => implicit(arg, params[i]!))) return null
  const given = args.map((arg, i) => cast(arg, params[i]!, span))
  return call(fn, [...given, ...extra], result, partial)
}

/** Whether PostgreSQL casts the argument to the parameter's type by itself. */
export function implicit(arg: Expr, to: LogicalType): boolean {
  if (isUnknown(arg) || arg.type.kind === to.kind) return true
  if (isNumeric(arg.type) && isNumeric(to)) return numericRank(arg.type) < numericRank(to)
  return (
    (arg.type.kind === 'date' && (to.kind === 'timestamp' || to.kind === 'timestamptz')) ||
    (arg.type.kind === 'timestamp' && to.kind === 'timestamptz')
  )
}

/** concat leaves nulls out. */
function concat(args: readonly Expr[], span: Span): Expr {
  return concatWs([constant('', text), ...args], span)
}
function concatWs(args: readonly Expr[], span: Span): Expr {
  const [separator] = args
  if (separator === undefined)
    throw sqlError('sql.unknown_function', span, 'concat_ws needs a separator')
  const texts = args.map((arg) =>
    // concat prints booleans as their output function does, t and f.
    arg.type.kind === 'bool' ? boolLetter(arg) : cast(arg, text, span),
  )
  return { op: 'concatWs', args: texts, type: text, nullable: texts[0]!.nullable }
}
function boolLetter(arg: Expr): Expr {
  return call('left', [call('boolText', [arg], text), constant(1, int32)], text)
}
