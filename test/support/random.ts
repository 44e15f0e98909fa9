/** A seeded generator (mulberry32): the same seed gives the same workload. */
export type Random = ReturnType<typeof seeded>

export function seeded(seed: number): {
  readonly next: () => number
  readonly int: (below: number) => number
  readonly pick: <T>(from: readonly T[]) => T
  readonly chance: (probability: number) => boolean
} {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (below: number): number => Math.floor(next() * below)
  return {
    next,
    int,
    pick: (from) => from[int(from.length)]!,
    chance: (probability) => next() < probability,
  }
}
