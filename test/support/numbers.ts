/** Arbitrary columns of numbers, in the shapes that packers treat apart. */
import * as fc from 'fast-check'

/** Anything, all equal, ascending, or near each other; the borders of a range more often than chance. */
export function ints(rows: number, min: number, max: number): fc.Arbitrary<number[]> {
  const one = fc.oneof(
    fc.integer({ min, max }),
    fc.constantFrom(min, max, Math.max(min, 0), Math.min(max, 255), Math.min(max, 65_536)),
  )
  const bounded = (value: number): number => Math.min(max, Math.max(min, value))
  const fill = { minLength: rows, maxLength: rows }
  return fc.oneof(
    fc.array(one, fill),
    one.map((value) => Array.from({ length: rows }, () => value)),
    fc
      .tuple(one, fc.array(fc.nat(300), fill))
      .map(([first, steps]) => steps.map((step, i) => bounded(first + i * 1000 + step))),
    fc
      .tuple(one, fc.array(fc.nat(70_000), fill))
      .map(([base, above]) => above.map((value) => bounded(base + value))),
  )
}

export function safeInts(rows: number): fc.Arbitrary<number[]> {
  return ints(rows, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
}

export function timestamps(rows: number): fc.Arbitrary<number[]> {
  const special = fc.constantFrom(Infinity, -Infinity, 0)
  return fc
    .tuple(ints(rows, -9_000_000_000_000_000, 9_000_000_000_000_000), fc.nat(4), special)
    .map(([values, chance, value]) =>
      values.map((v, i) => (chance === 0 && i % 3 === 0 ? value : v)),
    )
}
