/**
 * The scalar functions as data: what the binder looks up, what docs/sql.md lists, and what a mistyped
 * name is compared with.
 */
import type { LogicalType } from '../../record/types.ts'
import type { ScalarName } from '../scalar/functions.ts'
import { aggregateNames } from './aggregates.ts'
import { constant, type Expr } from './expr.ts'
import { suggestions } from './names.ts'
import { simple, sqlName } from './types.ts'

const text = simple('text')
const int32 = simple('int32')
const float64 = simple('float64')
const bool = simple('bool')
const json = simple('json')

export interface Signature {
  readonly params: readonly LogicalType[]
  readonly result: LogicalType
  readonly fn: ScalarName
  /** Constants put after the arguments. */
  readonly extra?: readonly Expr[]
  /** May give null for arguments that are not. */
  readonly partial?: boolean
}

const blank: readonly Expr[] = [constant(' ', text)]

/** Functions with fixed parameters and results. */
export const signatures: Readonly<Record<string, readonly Signature[]>> = {
  lower: [{ params: [text], result: text, fn: 'lower' }],
  upper: [{ params: [text], result: text, fn: 'upper' }],
  initcap: [{ params: [text], result: text, fn: 'initcap' }],
  length: [{ params: [text], result: int32, fn: 'textLength' }],
  char_length: [{ params: [text], result: int32, fn: 'textLength' }],
  character_length: [{ params: [text], result: int32, fn: 'textLength' }],
  substring: [
    { params: [text, int32], result: text, fn: 'substringFrom' },
    { params: [text, int32, int32], result: text, fn: 'substringFor' },
  ],
  substr: [
    { params: [text, int32], result: text, fn: 'substringFrom' },
    { params: [text, int32, int32], result: text, fn: 'substringFor' },
  ],
  btrim: [
    { params: [text], result: text, fn: 'btrim', extra: blank },
    { params: [text, text], result: text, fn: 'btrim' },
  ],
  ltrim: [
    { params: [text], result: text, fn: 'ltrim', extra: blank },
    { params: [text, text], result: text, fn: 'ltrim' },
  ],
  rtrim: [
    { params: [text], result: text, fn: 'rtrim', extra: blank },
    { params: [text, text], result: text, fn: 'rtrim' },
  ],
  replace: [{ params: [text, text, text], result: text, fn: 'replace' }],
  position: [{ params: [text, text], result: int32, fn: 'position' }],
  strpos: [{ params: [text, text], result: int32, fn: 'position' }],
  left: [{ params: [text, int32], result: text, fn: 'left' }],
  right: [{ params: [text, int32], result: text, fn: 'right' }],
  reverse: [{ params: [text], result: text, fn: 'reverse' }],
  repeat: [{ params: [text, int32], result: text, fn: 'repeat' }],
  split_part: [{ params: [text, text, int32], result: text, fn: 'splitPart' }],
  starts_with: [{ params: [text, text], result: bool, fn: 'startsWith' }],
  lpad: [
    { params: [text, int32], result: text, fn: 'lpad', extra: blank },
    { params: [text, int32, text], result: text, fn: 'lpad' },
  ],
  rpad: [
    { params: [text, int32], result: text, fn: 'rpad', extra: blank },
    { params: [text, int32, text], result: text, fn: 'rpad' },
  ],
  md5: [{ params: [text], result: text, fn: 'md5' }],
  chr: [{ params: [int32], result: text, fn: 'chr' }],
  ascii: [{ params: [text], result: int32, fn: 'ascii_' }],
  json_extract_path_text: [
    { params: [json, text], result: text, fn: 'jsonFieldText', partial: true },
  ],
  jsonb_extract_path_text: [
    { params: [json, text], result: text, fn: 'jsonFieldText', partial: true },
  ],
  exp: [{ params: [float64], result: float64, fn: 'floatExp' }],
  ln: [{ params: [float64], result: float64, fn: 'floatLn' }],
  sqrt: [{ params: [float64], result: float64, fn: 'floatSqrt' }],
  power: [{ params: [float64, float64], result: float64, fn: 'floatPower' }],
  pow: [{ params: [float64, float64], result: float64, fn: 'floatPower' }],
}

/**
 * Functions that code resolves, because their result depends on the arguments' types: their forms, as
 * people write them. numeric-functions.ts, time-functions.ts, bind-expression.ts and functions.ts
 * bind them.
 */
export const specialForms: Readonly<Record<string, readonly string[]>> = {
  abs: ['abs(number) → same type'],
  sign: ['sign(number) → double precision, or numeric for numeric'],
  round: [
    'round(number) → double precision, or numeric for numeric',
    'round(numeric, integer) → numeric',
  ],
  trunc: [
    'trunc(number) → double precision, or numeric for numeric',
    'trunc(numeric, integer) → numeric',
  ],
  ceil: ['ceil(number) → double precision, or numeric for numeric'],
  ceiling: ['ceiling(number) → double precision, or numeric for numeric'],
  floor: ['floor(number) → double precision, or numeric for numeric'],
  mod: ['mod(number, number) → number'],
  concat: ['concat(any, …) → text'],
  concat_ws: ['concat_ws(text, any, …) → text'],
  coalesce: ['coalesce(any, …) → common type'],
  nullif: ['nullif(any, any) → first type'],
  greatest: ['greatest(any, …) → common type'],
  least: ['least(any, …) → common type'],
  date_trunc: [
    'date_trunc(literal, timestamp) → timestamp',
    'date_trunc(literal, timestamptz) → timestamptz',
  ],
  extract: ['extract(field FROM time) → numeric'],
  date_part: ['date_part(literal, time) → double precision'],
  to_timestamp: ['to_timestamp(double precision) → timestamptz'],
  timezone: [
    "timezone('UTC', timestamp) → timestamptz",
    "timezone('UTC', timestamptz) → timestamp",
  ],
}

/** Every scalar function, in order. */
export const functionNames: readonly string[] = [
  ...Object.keys(signatures),
  ...Object.keys(specialForms),
].sort()

const windowNames = ['tumble', 'tumble_start', 'tumble_end']

/** How the function is called; empty when there is none of that name. */
export function formsOf(name: string): readonly string[] {
  const fixed = (signatures[name] ?? []).map(
    ({ params, result }) => `${name}(${params.map(sqlName).join(', ')}) → ${sqlName(result)}`,
  )
  return [...fixed, ...(specialForms[name] ?? [])]
}

/** What to do about a call that nothing answers to. */
export function unknownFunctionRemedy(name: string): string {
  const forms = formsOf(name)
  if (forms.length > 0) return `There is ${forms.join('; ')}. Cast the arguments.`
  const near = suggestions(name, [...functionNames, ...aggregateNames, ...windowNames])
  return near.length > 0
    ? `Did you mean ${near.map((known) => `${known}()`).join(', ')}? docs/sql.md lists all functions.`
    : 'Use one of the functions in docs/sql.md.'
}
