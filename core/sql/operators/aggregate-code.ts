/**
 * The generated loop of an aggregate: filter, arguments, keys, then the group's state, for the rows of
 * one delta of one shape. All that can fail is computed before any state is touched, so that a row
 * that fails leaves no trace.
 */
import type { Column } from '../../record/column.ts'
import { scalars } from '../scalar/functions.ts'
import type { Aggregate } from './aggregate.ts'
import type { Argument } from './accumulators.ts'
import { loaders } from './columns.ts'
import type { Expr } from '../plan/expr.ts'
import { keyCode, type KeyCodec } from './key-codec.ts'
import type { Delta } from './operator.ts'
import { RowCode, type Code } from './row-code.ts'

/** Runs from a row on; returns the row to go on with, past one that failed, or the delta's end. */
export type AggregateLoop = (delta: Delta, from: number) => number

interface Update {
  readonly when: string
  readonly value: string
  readonly argument: Argument
}

export function aggregateLoop(aggregate: Aggregate, columns: readonly Column[]): AggregateLoop {
  const { plan, accumulators, codecs } = aggregate
  const constants: unknown[] = []
  const code = new RowCode(plan.input.fields, columns, constants)
  if (plan.filter !== null) code.filter(plan.filter)
  const keys = plan.keys.map((key, i) => keyOf(code, columns, key, i, codecs[i]!))
  const updates = accumulators.arguments.map((argument) => argumentCode(code, argument))
  const cells = accumulators.cells.map((_, n) => n)
  const arrays = cells.map((n) => `a${n} = cell${n}.values`).join(', ')
  const text = `
    const step = X.step, columns = delta.columns, W = delta.weights, T = delta.timesUs, rows = delta.rows
    const C = columns
    let N = X.rows.values, touchedAt = X.touchedAt, timesUs = X.timesUs, capacity = table.capacity, t = 0
    ${cells.length === 0 ? '' : `let ${cells.map((n) => `a${n}`).join(', ')}; ${arrays.replaceAll(', ', '; ')}`}
    ${code.setup.join('\n')}
    let i = from
    try {
      for (; i < rows; i++) {
        ${code.body()}
        const w = W[i]
        const g = locate(${keys.join(', ')})
        if (table.capacity !== capacity) {
          capacity = table.capacity; N = X.rows.values; touchedAt = X.touchedAt; timesUs = X.timesUs
          ${arrays.replaceAll(', ', '; ')}
        }
        if (touchedAt[g] !== step) X.touch(g)
        if (T[i] > timesUs[g]) timesUs[g] = T[i]
        N[g] += w
        ${updates.map(updateCode).join('\n')}
      }
      return rows
    } catch (error) {
      X.errors.row(error, delta, i)
      return i + 1
    }`
  const names = {
    R: scalars,
    K: { constants, types: plan.input.fields.map((field) => field.type) },
    X: aggregate,
    table: aggregate.table,
    locate: aggregate.table.locate,
    ...loaders,
    ...Object.fromEntries(accumulators.cells.map((cell, n) => [`cell${n}`, cell])),
    ...Object.fromEntries(accumulators.bags.map((bag, n) => [`bag${n}`, bag])),
    ...Object.fromEntries(codecs.map((codec, n) => [`codec${n}`, codec])),
  }
  return generate(names, text, 'delta, from') as AggregateLoop
}

/**
 * Code of a key for codec `index`. Text keys that are plain dictionary columns are looked up by their
 * code in the dictionary, without a string.
 */
export function keyOf(
  code: RowCode,
  columns: readonly Column[],
  key: Expr,
  index: number,
  codec: KeyCodec,
): string {
  const column = key.op === 'column' ? columns[key.index]! : null
  if (key.op === 'column' && column?.encoding === 'dictionary') {
    const name = code.name('D')
    code.setup.push(
      `const ${name} = codec${index}.codesOf(C[${key.index}].dictionary), ${name}c = C[${key.index}].codes, ${name}v = C[${key.index}].validity;`,
    )
    const read = `${name}[${name}c[i]]`
    return column.validity === null
      ? read
      : `((${name}v[i >> 3] & (1 << (i & 7))) === 0 ? ${codec.none} : ${read})`
  }
  const { isNull, value } = code.expr(key)
  const held = code.name('k')
  code.line(`const ${held} = ${keyCode(codec, `codec${index}`, isNull, value)};`)
  return held
}

function argumentCode(code: RowCode, argument: Argument): Update {
  const { arg, filter } = argument.call
  if (filter === null) {
    if (arg === null) return { when: 'true', value: '0', argument }
    const { isNull, value } = code.expr(arg)
    return { when: isNull === 'false' ? 'true' : `!${isNull}`, value, argument }
  }
  const when = code.name('p')
  const value = code.name('x')
  code.line(`let ${when} = false, ${value} = null;`)
  code.block('{', () => {
    const test = code.expr(filter)
    const holds = test.isNull === 'false' ? test.value : `!${test.isNull} && ${test.value}`
    code.block(`if (${holds}) {`, () => {
      const inner: Code = arg === null ? { isNull: 'false', value: '0' } : code.expr(arg)
      code.line(
        `${when} = ${inner.isNull === 'false' ? 'true' : `!${inner.isNull}`}; ${value} = ${inner.value};`,
      )
    })
  })
  return { when, value, argument }
}

function updateCode({ when, value, argument }: Update): string {
  // A constant argument is no variable; typeof and comparisons want one.
  const statements = argument.updates.map((update) => update.replaceAll('$v', value)).join('\n')
  return when === 'true' ? statements : `if (${when}) {\n${statements}\n}`
}

/** A function of the given parameters that sees `names`. */
export function generate(
  names: Readonly<Record<string, unknown>>,
  code: string,
  parameters: string,
): unknown {
  const body = `"use strict"; return function (${parameters}) {${code}\n}`
  try {
    // eslint-disable-next-line typescript/no-implied-eval -- made of the plan, never of the query's text
    const make = new Function(...Object.keys(names), body) as (
      ...values: readonly unknown[]
    ) => unknown
    return make(...Object.values(names))
  } catch (cause) {
    throw new TypeError(`generated code does not compile: ${code}`, { cause })
  }
}
