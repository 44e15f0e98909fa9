/**
 * What the values of one column in a sample say about its type. Cautious: a type is proposed when every
 * value seen fits it exactly, and next year's values are likely to; whole numbers are int64 however small
 * they are, and texts stay texts but where all of them have one unmistakable form.
 */
import { builderFor } from '../../record/builder.ts'
import { typeName, type LogicalType, type SimpleKind } from '../../record/types.ts'
import { digitsOf, wholeNumber, type Digits } from './decimal-digits.ts'
import { planOf } from './field-plan.ts'

export type JsonKind = 'null' | 'bool' | 'number' | 'text' | 'object' | 'array'

const int64Max = 0x7fff_ffff_ffff_ffffn
const uint64Max = 0xffff_ffff_ffff_ffffn
/** Money and the like: with so few digits behind the point numbers are decimals, with more measurements. */
const moneyScale = 4
const moneyType = { kind: 'decimal', precision: 18, scale: moneyScale } as const

/** Texts of these forms, and no others, are taken for more than texts; the first that fits them all counts. */
const forms: readonly { readonly kind: SimpleKind; readonly form: RegExp }[] = [
  { kind: 'uuid', form: /^[\dA-Fa-f]{8}(?:-[\dA-Fa-f]{4}){3}-[\dA-Fa-f]{12}$/ },
  { kind: 'date', form: /^\d{4}-\d\d-\d\d$/ },
  // Digits behind the microseconds that say something would be lost.
  {
    kind: 'timestamptz',
    form: /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6}0*)?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/,
  },
  { kind: 'timestamp', form: /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6}0*)?)?$/ },
  { kind: 'time', form: /^\d\d:\d\d:\d\d(?:\.\d{1,6}0*)?$/ },
]

export class Evidence {
  /** Records that have the column at all. */
  seen = 0
  readonly #counts: Record<JsonKind, number> = {
    null: 0,
    bool: 0,
    number: 0,
    text: 0,
    object: 0,
    array: 0,
  }
  /** Of the forms, those that all texts so far have. */
  #forms = [...forms]
  #numbers = new Numbers()
  #elements: Evidence | null = null

  get nulls(): number {
    return this.#counts.null
  }

  /** `text`: of a number its source, of a text the text itself. */
  add(kind: JsonKind, text: string): void {
    this.seen++
    this.#counts[kind]++
    if (kind === 'number') this.#numbers.add(text)
    if (kind === 'text') {
      this.#forms = this.#forms.filter(({ kind, form }) => form.test(text) && reads(kind, text))
    }
  }

  /** Of an array, after `add`. */
  get elements(): Evidence {
    this.#elements ??= new Evidence()
    return this.#elements
  }

  /** The type, and what its reader should know about it. */
  propose(name: string): { readonly type: LogicalType; readonly remark: string | null } {
    const { bool, number, text, object, array } = this.#counts
    const values = bool + number + text + object + array
    const only = (count: number): boolean => count === values
    if (values === 0) return remarked({ kind: 'json' }, 'always null in the sample')
    if (only(bool)) return plain({ kind: 'bool' })
    if (only(number)) return this.#proposeNumber(name)
    if (only(text)) return plain({ kind: this.#forms[0]?.kind ?? 'text' })
    if (only(array)) return this.#proposeList(name)
    if (only(object)) return plain({ kind: 'json' })
    const scalars = object + array === 0
    const kinds = Object.entries(this.#counts).filter(
      ([kind, count]) => kind !== 'null' && count > 0,
    )
    const list = kinds.map(([kind, count]) => `${kind} ${count}×`).join(', ')
    return remarked({ kind: scalars ? 'text' : 'json' }, `values of several kinds: ${list}`)
  }

  #proposeNumber(name: string): ReturnType<Evidence['propose']> {
    const type = this.#numbers.propose()
    const unit = type.kind === 'int64' ? this.#numbers.epochUnit() : null
    if (unit === null || !/(?:_at|_ts|At|time|Time|date|Date|^ts|stamp)$/.test(name))
      return plain(type)
    return remarked(
      type,
      `looks like a time: timestamptz with \`epoch: ${unit}\` would read it as one`,
    )
  }

  #proposeList(name: string): ReturnType<Evidence['propose']> {
    const elements = this.#elements
    if (elements === null) return remarked({ kind: 'json' }, 'arrays, all of them empty')
    const { type } = elements.propose(name)
    return plain(type.kind === 'json' ? type : { kind: 'list', element: type })
  }
}

function plain(type: LogicalType): ReturnType<Evidence['propose']> {
  return { type, remark: null }
}

function remarked(type: LogicalType, remark: string): ReturnType<Evidence['propose']> {
  return { type, remark: `${remark}; proposed: ${typeName(type)}` }
}

/** Whether the text is read as this type. */
function reads(kind: SimpleKind, text: string): boolean {
  const bytes = Buffer.from(text)
  const { cell } = planOf({ name: '', type: { kind }, nullable: true }, null)
  return cell!.append(builderFor({ kind }), bytes, 0, bytes.length)
}

class Numbers {
  #min = 0n
  #max = 0n
  #whole = true
  /** Digits before the point and behind it, at most. */
  #before = 0
  #behind = 0
  #exponents = false
  #exactDoubles = true

  add(text: string): void {
    const value = wholeNumber(text)
    const parts = digitsOf(text)
    if (parts === null) return
    if (value === null) this.#whole = false
    else {
      if (value < this.#min) this.#min = value
      if (value > this.#max) this.#max = value
    }
    this.#before = Math.max(this.#before, parts.digits.length - parts.fraction)
    this.#behind = Math.max(this.#behind, parts.fraction)
    this.#exponents ||= /e/i.test(text)
    this.#exactDoubles &&= isShortestDouble(text, parts)
  }

  propose(): LogicalType {
    // 1.0 is a whole number to JSON, but its writer did not think so.
    if (this.#whole && this.#behind === 0) {
      if (this.#max <= int64Max && this.#min >= -int64Max - 1n) return { kind: 'int64' }
      if (this.#min >= 0n && this.#max <= uint64Max) return { kind: 'uint64' }
    } else if (!this.#exponents && this.#behind <= moneyScale && this.#before <= 14)
      return moneyType
    if (this.#exactDoubles) return { kind: 'float64' }
    return { kind: 'decimal', precision: null, scale: null }
  }

  /** The unit in which all of them are between 2001 and 2100; null = none. */
  epochUnit(): string | null {
    const from = 1_000_000_000n
    const to = 4_102_444_800n
    for (const [unit, scale] of [
      ['s', 1n],
      ['ms', 1000n],
      ['us', 1_000_000n],
      ['ns', 1_000_000_000n],
    ] as const) {
      if (this.#max >= from * scale && this.#max < to * scale) return unit
    }
    return null
  }
}

/** Whether the double nearest to the number is written with the same digits. */
function isShortestDouble(text: string, { digits, fraction }: Digits): boolean {
  const double = Number(text)
  const shortest = Number.isFinite(double) ? digitsOf(String(double)) : null
  if (shortest === null) return false
  return sameNumber(digits, fraction, shortest.digits, shortest.fraction)
}

function sameNumber(a: string, aFraction: number, b: string, bFraction: number): boolean {
  const [a0, b0] = [a.replace(/0+$/, ''), b.replace(/0+$/, '')]
  return (
    a0 === b0 &&
    (a0 === '' || aFraction - (a.length - a0.length) === bFraction - (b.length - b0.length))
  )
}
