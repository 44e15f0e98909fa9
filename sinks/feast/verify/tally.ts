/** What was found of a view, feature by feature. */
import type { FeatureAgreement } from '../../../core/connector/feature-tools.ts'
import type { FeatureView } from '../view.ts'
import type { Finding, Verdict } from './judge.ts'

const examplesMax = 3
/** How the event time is called beside the features; none of them can have this name. */
export const eventTimeName = 'event_timestamp'

interface Counts {
  keys: number
  mismatch: number
  missing: number
  extra: number
  readonly examples: string[]
}

export class Tally {
  readonly #view: FeatureView
  readonly #counts: readonly Counts[]
  #unsettled = 0

  constructor(view: FeatureView) {
    this.#view = view
    this.#counts = [...view.features, null].map(() => ({
      keys: 0,
      mismatch: 0,
      missing: 0,
      extra: 0,
      examples: [],
    }))
  }

  /** `nameOf`: the entity, for people. */
  add(verdict: Verdict, nameOf: () => string): void {
    if (verdict === null) return
    for (const [i, finding] of verdict.entries()) this.#count(this.#counts[i]!, finding, nameOf)
  }

  /** An entity that changed whenever it was looked at. */
  unsettled(): void {
    this.#unsettled++
  }

  agreements(): readonly FeatureAgreement[] {
    const names = [...this.#view.features.map(({ name }) => name), eventTimeName]
    return names.map((feature, i) => {
      const { keys, mismatch, missing, extra, examples } = this.#counts[i]!
      return {
        view: this.#view.name,
        feature,
        keys,
        mismatched: mismatch,
        missing,
        extra,
        unsettled: this.#unsettled,
        examples,
      }
    })
  }

  #count(counts: Counts, finding: Finding, nameOf: () => string): void {
    counts.keys++
    if (finding === 'same') return
    counts[finding]++
    if (counts.examples.length < examplesMax) counts.examples.push(`${finding}: ${nameOf()}`)
  }
}
