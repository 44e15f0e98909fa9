/**
 * What a bench exports. Ratios side by side in one run are what counts: `ours` against `limit`, the
 * best that this machine allows for the same bytes, or what people run today.
 */
export interface BenchModule {
  readonly bench: {
    /** `P6`, as docs and goals name it. */
    readonly id: string
    readonly what: string
    /** `quick` answers in under 50 s. */
    readonly run: (options: { readonly quick: boolean }) => Promise<readonly BenchRow[]>
  }
}

export interface BenchRow {
  readonly what: string
  readonly unit: string
  readonly ours: number
  readonly limit: number | null
  readonly ratio: number | null
  readonly goal: number | null
  readonly met: boolean
}

export interface BenchResult extends BenchRow {
  readonly id: string
  /** Peak resident memory of the bench's process, in mebibytes. */
  readonly peakRssMb: number
}
