/** Results of benches that do the same in turns: ours and what it is measured beside. */
import type { BenchRow } from '../types.ts'
import { median } from './figures.ts'

const peakMbMax = 256

/** One round of each, `rounds` times over, so that what slows the machine down slows all of them; seconds. */
export async function inTurns(
  rounds: number,
  works: readonly (() => Promise<number>)[],
): Promise<readonly number[][]> {
  const seconds: number[][] = works.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [at, work] of works.entries()) seconds[at]!.push(await work())
  }
  return seconds
}

/** Rows a second, of the median round. */
export function rate(rows: number, seconds: readonly number[]): number {
  return Math.round(rows / median(seconds))
}

/** Rates in rows a second; `goal`: of their ratio. */
export function rated(what: string, ours: number, limit: number, goal: number | null): BenchRow {
  const ratio = ours / limit
  return { what, unit: 'rows/s', ours, limit, ratio, goal, met: goal === null || ratio >= goal }
}

/**
 * Of this process up to now, and the pipelines in it run one after the other: after the first it is
 * that of one pipeline, in the end it holds what the memory's allocator kept of all of them too.
 */
export function peakMemory(when: 'one pipeline' | 'all rounds'): BenchRow {
  const peakMb = process.resourceUsage().maxRSS / 1024
  return {
    what: `peak memory of the process, ${when}`,
    unit: 'MB',
    ours: Math.round(peakMb),
    limit: peakMbMax,
    ratio: peakMb / peakMbMax,
    goal: 1,
    met: peakMb <= peakMbMax,
  }
}
