/** What many measurements come to. */
import type { BenchRow } from '../types.ts'

/** The middle one; the mean of the two in the middle where their number is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Ascending: from when each row was sent until it arrived, index = id; without the first, and `skip` more. */
export function latencies(
  sentMs: Float64Array,
  arrivedMs: Float64Array,
  skip: number,
): Float64Array {
  return arrivedMs
    .map((ms, id) => ms - sentMs[id]!)
    .slice(skip + 1)
    .sort()
}

/** Rows of the latencies, ascending; goals in ms. */
export function latencyRows(
  what: string,
  sorted: Float64Array,
  goals: { readonly p50: number; readonly p99: number },
): BenchRow[] {
  return (['p50', 'p99'] as const).map((name) => {
    const ms = sorted[Math.ceil(sorted.length * (name === 'p50' ? 0.5 : 0.99)) - 1]!
    return {
      what: `${what}, ${name}`,
      unit: 'ms',
      ours: Math.round(ms * 10) / 10,
      limit: null,
      ratio: null,
      goal: goals[name],
      met: ms < goals[name],
    }
  })
}
