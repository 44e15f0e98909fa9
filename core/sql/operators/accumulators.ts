/**
 * Aggregates as cells: which state each needs, the code that a row runs, and the result. Aggregates
 * over the same argument share what they can: AVG(x), SUM(x) and COUNT(x) are one sum and one count.
 */
import type { AggregateCall } from '../plan/plan.ts'
import { exprText } from '../plan/expr.ts'
import { isFloat, isScaled } from '../plan/types.ts'
import {
  Decimal,
  decimalCompare,
  decimalDivide,
  decimalOf,
  type Numeric,
} from '../scalar/decimal.ts'
import { intervalCompare, intervalDivide, type Interval } from '../scalar/interval.ts'
import { compareNumbers, int64, type Int } from '../scalar/integer.ts'
import { compareText } from '../scalar/text.ts'
import type { Scalar } from '../scalar/functions.ts'
import type { Ordering } from '../plan/expr.ts'
import { Bag } from './bag.ts'
import { CountCell, FloatSumCell, ObjectSumCell, SumCell, ValueCell, type Cell } from './cells.ts'

/** Compares two values that are not null. */
export function compareScalars(ordering: Ordering, a: Scalar, b: Scalar): number {
  switch (ordering) {
    case 'number':
    case 'nan':
      return compareNumbers(a as Int, b as Int)
    case 'text':
      return compareText(a as string, b as string)
    case 'decimal':
      return decimalCompare(a as Numeric, b as Numeric)
    case 'interval':
      return intervalCompare(a as Interval, b as Interval)
  }
}

/** MIN or MAX over rows that are never taken back. */
export class ExtremeCell extends ValueCell {
  readonly #ordering: Ordering
  readonly #sign: number
  constructor(ordering: Ordering, greatest: boolean) {
    super()
    this.#ordering = ordering
    this.#sign = greatest ? 1 : -1
  }
  offer(slot: number, value: Scalar): void {
    const known = this.get(slot)
    if (known === null || compareScalars(this.#ordering, value, known) * this.#sign > 0)
      this.set(slot, value)
  }
}

/** What a row does, given its argument: `$v`, the weight `w` and the slot `g` are in scope. */
export interface Argument {
  readonly call: AggregateCall
  /** Code per row; `$v` stands for the value. */
  readonly updates: string[]
}

/** All aggregates of one operator. */
export class Accumulators {
  readonly cells: Cell[] = []
  readonly bags: Bag[] = []
  /** One per distinct argument and filter. */
  readonly arguments: Argument[] = []
  readonly finals: readonly ((slot: number) => Scalar)[]
  /** Called for each touched group before its result is taken. */
  readonly settle: ((slot: number) => void)[] = []
  readonly #rows: CountCell
  readonly #appendOnly: boolean
  readonly #shared = new Map<string, unknown>()

  constructor(calls: readonly AggregateCall[], rows: CountCell, appendOnly: boolean) {
    this.#rows = rows
    this.#appendOnly = appendOnly
    this.finals = calls.map((call) => this.#final(call))
  }

  #final(call: AggregateCall): (slot: number) => Scalar {
    if (call.fn === 'count' && !call.distinct) {
      const count = this.#count(call)
      return (slot) => count.values[slot]!
    }
    if (call.fn === 'min' || call.fn === 'max') return this.#extreme(call)
    if (call.fn === 'boolAnd' || call.fn === 'boolOr') return this.#bool(call)
    if (call.fn === 'count') {
      const count = this.#distinctCount(call)
      return (slot) => count.values[slot]!
    }
    return this.#sum(call)
  }

  #once<T>(key: string, make: () => T): T {
    const known = this.#shared.get(key)
    if (known !== undefined) return known as T
    const made = make()
    this.#shared.set(key, made)
    return made
  }

  #argument(call: AggregateCall): Argument {
    const key = `argument ${argumentText(call)}`
    return this.#once(key, () => {
      const argument: Argument = { call, updates: [] }
      this.arguments.push(argument)
      return argument
    })
  }

  #cell<T extends Cell>(
    key: string,
    cell: () => T,
    update: ((n: number) => string) | null,
    call: AggregateCall,
  ): T {
    return this.#once(`${key} ${argumentText(call)}`, () => {
      const made = cell()
      this.cells.push(made)
      if (update !== null) this.#argument(call).updates.push(update(this.cells.length - 1))
      return made
    })
  }

  /** Rows that count: the group's own count where no row can be left out. */
  #count(call: AggregateCall): CountCell {
    if (call.filter === null && (call.arg === null || !call.arg.nullable)) return this.#rows
    return this.#cell(
      'count',
      () => new CountCell(),
      (n) => `a${n}[g] += w;`,
      call,
    )
  }

  #bag(call: AggregateCall): Bag {
    return this.#once(`bag ${argumentText(call)}`, () => {
      const bag = new Bag(call.arg!.type)
      this.bags.push(bag)
      this.#argument(call).updates.push(`bag${this.bags.length - 1}.add(g, $v, w);`)
      return bag
    })
  }

  #distinctCount(call: AggregateCall): CountCell {
    const bag = this.#bag(call)
    return this.#once(`distinct count ${argumentText(call)}`, () => {
      const count = new CountCell()
      this.cells.push(count)
      bag.listeners.push((slot, _, change) => {
        count.values[slot]! += change
      })
      return count
    })
  }

  #extreme(call: AggregateCall): (slot: number) => Scalar {
    const { fn, ordering } = call
    if (ordering === null) throw new TypeError('no order')
    const greatest = fn === 'max'
    if (this.#appendOnly) {
      const update = (n: number): string =>
        ordering === 'number'
          ? `if (typeof $v === 'number' && a${n}[g] === a${n}[g]) { if ($v ${greatest ? '>' : '<'} a${n}[g]) a${n}[g] = $v; } else cell${n}.offer(g, $v);`
          : `cell${n}.offer(g, $v);`
      const cell = this.#cell(fn, () => new ExtremeCell(ordering, greatest), update, call)
      return (slot) => cell.get(slot)
    }
    const bag = this.#bag(call)
    const sign = greatest ? 1 : -1
    return (slot) => {
      let best: Scalar = null
      for (const value of bag.values(slot)) {
        if (best === null || compareScalars(ordering, value, best) * sign > 0) best = value
      }
      return best
    }
  }

  #bool(call: AggregateCall): (slot: number) => Scalar {
    const yes = this.#cell(
      'true',
      () => new CountCell(),
      (n) => `if ($v) a${n}[g] += w;`,
      call,
    )
    const no = this.#cell(
      'false',
      () => new CountCell(),
      (n) => `if (!$v) a${n}[g] += w;`,
      call,
    )
    const and = call.fn === 'boolAnd'
    return (slot) => {
      if (yes.values[slot] === 0 && no.values[slot] === 0) return null
      return and ? no.values[slot] === 0 : yes.values[slot]! > 0
    }
  }

  #sum(call: AggregateCall): (slot: number) => Scalar {
    const count = call.distinct ? this.#distinctCount(call) : this.#count(call)
    const total = this.#total(call, count)
    if (call.fn === 'avg') return average(call, total, count)
    const limited = call.type.kind === 'int64'
    return (slot) => {
      if (count.values[slot] === 0) return null
      const value = total(slot)
      return limited ? int64(value as Int) : value
    }
  }

  /** The sum itself, whatever the count. */
  #total(call: AggregateCall, count: CountCell): (slot: number) => Scalar {
    const { type } = call.arg!
    if (isFloat(type)) {
      const cell = this.#sumCell(call, () => new FloatSumCell(), 'add')
      this.#once(`settle ${call.distinct} ${argumentText(call)}`, () =>
        this.settle.push((slot) => {
          if (count.values[slot] === 0) cell.settle(slot)
        }),
      )
      return type.kind === 'float32' && call.fn === 'sum'
        ? (slot) => Math.fround(cell.get(slot))
        : (slot) => cell.get(slot)
    }
    if (type.kind === 'interval' || (type.kind === 'decimal' && !isScaled(type))) {
      const kind = type.kind
      const cell = this.#sumCell(call, () => new ObjectSumCell(kind), 'add')
      return (slot) => cell.get(slot)
    }
    const cell = this.#sumCell(call, () => new SumCell(), 'addSlow')
    return (slot) => cell.get(slot)
  }

  #sumCell<T extends FloatSumCell | ObjectSumCell | SumCell>(
    call: AggregateCall,
    make: () => T,
    method: 'add' | 'addSlow',
  ): T {
    if (!call.distinct) {
      const update = (n: number): string =>
        method === 'add'
          ? `cell${n}.add(g, $v, w);`
          : `if (typeof $v === 'number' && (t = a${n}[g] + w * $v) <= ${Number.MAX_SAFE_INTEGER} && t >= -${Number.MAX_SAFE_INTEGER}) a${n}[g] = t; else cell${n}.addSlow(g, $v, w);`
      return this.#cell('sum', make, update, call)
    }
    const bag = this.#bag(call)
    return this.#once(`distinct sum ${argumentText(call)}`, () => {
      const cell = make()
      this.cells.push(cell)
      const add = (slot: number, value: Scalar, weight: number): void => {
        if (cell instanceof SumCell) cell.addSlow(slot, value as Int, weight)
        else if (cell instanceof FloatSumCell) cell.add(slot, value as number, weight)
        else cell.add(slot, value as Numeric | Interval, weight)
      }
      bag.listeners.push(add)
      return cell
    })
  }
}

function argumentText({ arg, filter }: AggregateCall): string {
  return `${arg === null ? '*' : exprText(arg)} filter ${filter === null ? '' : exprText(filter)}`
}

/** numeric's division rule for exact sums; doubles for doubles. */
function average(
  { arg }: AggregateCall,
  total: (slot: number) => Scalar,
  count: CountCell,
): (slot: number) => Scalar {
  const { type } = arg!
  return (slot) => {
    const rows = count.values[slot]!
    if (rows === 0) return null
    const sum = total(slot)
    if (isFloat(type)) return (sum as number) / rows
    if (type.kind === 'interval') return intervalDivide(sum as Interval, rows)
    const scaled = isScaled(type) || type.kind !== 'decimal'
    const scale = isScaled(type) ? type.scale : 0
    const exact = scaled ? decimalOf(sum as Int, scale) : (sum as Numeric)
    return decimalDivide(exact, new Decimal(BigInt(rows), 0))
  }
}
