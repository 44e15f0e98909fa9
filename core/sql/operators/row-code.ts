/**
 * Typed expressions into JavaScript for one row. A value is a pair of code texts: whether it is null
 * and what it is. Columns are read once per row, at the place where they are first needed; columns
 * without nulls in this batch cost no test. Nothing is allocated per row but what a function returns.
 */
import type { Column } from '../../record/column.ts'
import { isScaled } from '../plan/types.ts'
import type { CaseExpr, CompareExpr, Expr, ExtremeExpr, LogicExpr, Ordering } from '../plan/expr.ts'
import { operands } from '../plan/expr.ts'
import type { PlanField } from '../plan/plan.ts'
import type { Scalar } from '../scalar/functions.ts'
import { loadCode } from './columns.ts'

/** Code of a value: `isNull` is `false` where it never is. */
export interface Code {
  readonly isNull: string
  readonly value: string
}

export class RowCode {
  readonly #fields: readonly PlanField[]
  readonly #columns: readonly Column[]
  readonly #constants: unknown[]
  readonly setup: string[] = []
  #body: string[] = []
  #names = 0
  /** Columns already read, for the block being written and those around it. */
  #scopes: Map<number, Code>[] = [new Map<number, Code>()]
  readonly #prepared = new Map<number, string>()

  /** `constants` collects objects the code refers to as `K.constants[n]`. */
  constructor(fields: readonly PlanField[], columns: readonly Column[], constants: unknown[]) {
    this.#fields = fields
    this.#columns = columns
    this.#constants = constants
  }

  name(prefix: string): string {
    return `${prefix}${this.#names++}`
  }
  line(code: string): void {
    this.#body.push(code)
  }
  body(): string {
    return this.#body.join('\n')
  }

  /** Writes a block; what is read inside is not known after it. */
  block(open: string, write: () => void, close = '}'): void {
    this.line(open)
    this.#scopes.push(new Map())
    write()
    this.#scopes.pop()
    this.line(close)
  }

  /** Writes code that computes the expression and says where its value is. */
  expr(expr: Expr): Code {
    switch (expr.op) {
      case 'column':
        return this.#column(expr.index)
      case 'const':
        return this.#constant(expr.value)
      case 'call':
        return this.#call(expr)
      case 'compare':
        return this.#compare(expr)
      case 'distinct': {
        const [left, right] = [this.expr(expr.left), this.expr(expr.right)]
        const same = equalCode(expr.ordering, left.value, right.value)
        const code = sameCode(left, right, same)
        return this.#keep('false', expr.negated ? code : `!(${code})`)
      }
      case 'and':
      case 'or':
        return this.#logic(expr)
      case 'not': {
        const arg = this.expr(expr.arg)
        return { isNull: arg.isNull, value: `!${arg.value}` }
      }
      case 'isNull': {
        const { isNull } = this.expr(expr.arg)
        return { isNull: 'false', value: expr.negated ? `!${isNull}` : isNull }
      }
      case 'test': {
        const { isNull, value } = this.expr(expr.arg)
        const known = isNull === 'false' ? '' : `!${isNull} && `
        const holds = `(${known}${expr.value ? '' : '!'}${value})`
        return { isNull: 'false', value: expr.negated ? `!${holds}` : holds }
      }
      case 'case':
        return this.#case(expr)
      case 'coalesce':
        return this.#coalesce(expr.args)
      case 'extreme':
        return this.#extreme(expr)
      case 'concatWs': {
        const [separator, ...parts] = expr.args.map((arg) => this.expr(arg))
        const values = parts.map(({ isNull, value }) =>
          isNull === 'false' ? value : `(${isNull} ? null : ${value})`,
        )
        const text = `R.concatWs(${[separator!.value, ...values].join(', ')})`
        return this.#strict([separator!], text, "''")
      }
    }
  }

  /** Runs `skip` unless the condition is true. */
  filter(expr: Expr, skip = 'continue;'): void {
    for (const part of expr.op === 'and' ? expr.args : [expr]) {
      if (part.op === 'and') {
        this.filter(part, skip)
        continue
      }
      const { isNull, value } = this.expr(part)
      this.line(
        isNull === 'false'
          ? `if (!${value}) { ${skip} }`
          : `if (${isNull} || !${value}) { ${skip} }`,
      )
    }
  }

  #column(index: number): Code {
    for (const scope of this.#scopes) {
      const known = scope.get(index)
      if (known !== undefined) return known
    }
    const column = this.#columns[index]!
    const c = `c${index}`
    let load = this.#prepared.get(index)
    if (load === undefined) {
      const made = loadCode(this.#fields[index]!.type, column, c, index)
      this.setup.push(`const ${c} = C[${index}];`, made.setup)
      if (column.validity !== null) this.setup.push(`const B${index} = ${c}.validity;`)
      load = made.value
      this.#prepared.set(index, load)
    }
    const value = this.name('v')
    let isNull = 'false'
    if (column.validity !== null) {
      isNull = this.name('n')
      this.line(`const ${isNull} = (B${index}[i >> 3] & (1 << (i & 7))) === 0;`)
      this.line(`const ${value} = ${isNull} ? ${this.#empty(index)} : ${load};`)
    } else this.line(`const ${value} = ${load};`)
    const code = { isNull, value }
    this.#scopes.at(-1)!.set(index, code)
    return code
  }

  /** A value of the column's kind where there is none, so that the variable keeps one kind. */
  #empty(index: number): string {
    const { type } = this.#fields[index]!
    if (type.kind === 'bool') return 'false'
    if (type.kind === 'interval' || (type.kind === 'decimal' && !isScaled(type))) return 'null'
    return ['text', 'json', 'other', 'uuid', 'bytes'].includes(type.kind) ? "''" : '0'
  }

  #constant(value: Scalar): Code {
    if (value === null) return { isNull: 'true', value: 'null' }
    if (typeof value === 'string') return { isNull: 'false', value: JSON.stringify(value) }
    if (typeof value === 'object') {
      this.#constants.push(value)
      const name = `k${this.#constants.length - 1}`
      this.setup.push(`const ${name} = K.constants[${this.#constants.length - 1}];`)
      return { isNull: 'false', value: name }
    }
    const text = typeof value === 'bigint' ? `${value}n` : String(value)
    return { isNull: 'false', value: value === true || value === false ? text : `(${text})` }
  }

  #call(expr: Expr & { op: 'call' }): Code {
    const args = expr.args.map((arg) => this.expr(arg))
    const values = args.map((arg) => arg.value).join(', ')
    const code = this.#strict(args, `R.${expr.fn}(${values})`, 'null')
    if (!expr.partial) return code
    // The function itself may say null.
    const value = this.#keep(
      'false',
      code.isNull === 'false' ? code.value : `(${code.isNull} ? null : ${code.value})`,
    )
    return { isNull: `(${value.value} === null)`, value: value.value }
  }

  /** Computes `code` only when no argument is null, because functions are not made for nulls. */
  #strict(args: readonly Code[], code: string, empty: string): Code {
    const nulls = [...new Set(args.map((arg) => arg.isNull).filter((isNull) => isNull !== 'false'))]
    if (nulls.length === 0) return this.#keep('false', code)
    if (nulls.includes('true')) return { isNull: 'true', value: 'null' }
    const isNull = nulls.length === 1 ? nulls[0]! : this.#keep('false', nulls.join(' || ')).value
    return { isNull, value: this.#keep('false', `${isNull} ? ${empty} : ${code}`).value }
  }

  #keep(isNull: string, code: string): Code {
    const value = this.name('v')
    this.line(`const ${value} = ${code};`)
    return { isNull, value }
  }

  #compare(expr: CompareExpr): Code {
    const left = this.expr(expr.left)
    const right = this.expr(expr.right)
    const code = compareCode(expr.operator, expr.ordering, left.value, right.value)
    return this.#strict([left, right], code, 'false')
  }

  /** Three-valued AND and OR: the deciding value wins over null; what is not needed is not computed. */
  #logic(expr: LogicExpr): Code {
    const decides = expr.op === 'and' ? '!' : ''
    const value = this.name('v')
    const isNull = this.name('n')
    this.line(`let ${value} = ${expr.op === 'and'}, ${isNull} = false;`)
    const write = (index: number): void => {
      const arg = this.expr(expr.args[index]!)
      const decided =
        arg.isNull === 'false'
          ? `${decides}${arg.value}`
          : `!${arg.isNull} && ${decides}${arg.value}`
      this.line(`if (${decided}) { ${value} = ${expr.op === 'or'}; ${isNull} = false; }`)
      if (arg.isNull !== 'false') this.line(`else if (${arg.isNull}) ${isNull} = true;`)
      if (index + 1 === expr.args.length) return
      this.block(`if (${value} === ${expr.op === 'and'}) {`, () => write(index + 1))
    }
    write(0)
    return { isNull: operandsMayBeNull(expr) ? isNull : 'false', value }
  }

  #case(expr: CaseExpr): Code {
    const value = this.name('v')
    const isNull = this.name('n')
    this.line(`let ${value} = null, ${isNull} = true;`)
    const assign = (branch: Expr): void => {
      const code = this.expr(branch)
      if (code.isNull !== 'true') this.line(`${value} = ${code.value}; ${isNull} = ${code.isNull};`)
    }
    const write = (index: number): void => {
      const part = expr.whens[index]
      if (part === undefined) return assign(expr.otherwise)
      const when = this.expr(part.when)
      const holds = when.isNull === 'false' ? when.value : `!${when.isNull} && ${when.value}`
      this.block(`if (${holds}) {`, () => assign(part.result))
      this.block('else {', () => write(index + 1))
    }
    write(0)
    return { isNull, value }
  }

  #coalesce(args: readonly Expr[]): Code {
    const value = this.name('v')
    const isNull = this.name('n')
    this.line(`let ${value} = null, ${isNull} = true;`)
    const write = (index: number): void => {
      const code = this.expr(args[index]!)
      if (code.isNull !== 'true') this.line(`${value} = ${code.value}; ${isNull} = ${code.isNull};`)
      if (index + 1 < args.length && code.isNull !== 'false')
        this.block(`if (${isNull}) {`, () => write(index + 1))
    }
    write(0)
    return { isNull, value }
  }

  #extreme(expr: ExtremeExpr): Code {
    const value = this.name('v')
    const isNull = this.name('n')
    this.line(`let ${value} = null, ${isNull} = true;`)
    for (const arg of expr.args) {
      const code = this.expr(arg)
      if (code.isNull === 'true') continue
      const better = compareCode(expr.greatest ? '>' : '<', expr.ordering, code.value, value)
      const present = code.isNull === 'false' ? '' : `!${code.isNull} && `
      this.line(
        `if (${present}(${isNull} || ${better})) { ${value} = ${code.value}; ${isNull} = false; }`,
      )
    }
    return { isNull, value }
  }
}

function operandsMayBeNull(expr: Expr): boolean {
  return operands(expr).some((operand) => operand.nullable)
}

function sameCode(left: Code, right: Code, same: string): string {
  if (left.isNull === 'false' && right.isNull === 'false') return same
  return `(${left.isNull} || ${right.isNull} ? ${left.isNull} && ${right.isNull} : ${same})`
}

function equalCode(ordering: Ordering, a: string, b: string): string {
  switch (ordering) {
    case 'number':
    case 'text':
      return `(${a} === ${b})`
    case 'nan':
      return `(${a} === ${b} || (${a} !== ${a} && ${b} !== ${b}))`
    case 'decimal':
      return `(R.decimalCompare(${a}, ${b}) === 0)`
    case 'interval':
      return `(R.intervalCompare(${a}, ${b}) === 0)`
  }
}

/** NaN equals itself and is above everything; text orders by its bytes. */
export function compareCode(operator: string, ordering: Ordering, a: string, b: string): string {
  if (operator === '=') return equalCode(ordering, a, b)
  if (operator === '<>') return `!${equalCode(ordering, a, b)}`
  if (ordering === 'number') return `(${a} ${operator} ${b})`
  const functions = {
    nan: 'compareNumbers',
    text: 'compareText',
    decimal: 'decimalCompare',
    interval: 'intervalCompare',
  }
  return `(R.${functions[ordering]}(${a}, ${b}) ${operator} 0)`
}
