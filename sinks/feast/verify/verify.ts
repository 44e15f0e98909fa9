/**
 * `sluice features verify`: compares an online store with what its offline log says of the same entities.
 *
 * Page by page: a page of entities of the offline log, the same entities online, and those that only the
 * online store has and that would stand on this page. Memory depends on the size of a page.
 *
 * Beside live traffic the two are never looked at in one moment: a row may be in one and on its way into
 * the other. What differs is therefore looked at again, both sides, until it has stayed the same
 * throughout; an entity that keeps changing is counted as unsettled and not as wrong.
 */
import type { SinkContext } from '../../../core/connector/context.ts'
import type { FeatureAgreement, VerifyOptions } from '../../../core/connector/feature-tools.ts'
import type { FileStore } from '../../../core/connector/file-store.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import type { FeastConfig } from '../config.ts'
import { entityName, readEntityKey } from '../layout/entity-key-reader.ts'
import { offlineFiles } from '../offline/open.ts'
import {
  comparePlaces,
  entityText,
  latestAsOf,
  placeOf,
  type AsOf,
  type KeyPlace,
} from '../offline/read.ts'
import { offlineView } from '../offline/of-view.ts'
import { plannedViews } from '../planned-views.ts'
import type { FeatureView } from '../view.ts'
import { expectedOf, keyText, type Expected } from './expected.ts'
import { judge, type Verdict } from './judge.ts'
import { openReader, type OnlineEntity, type OnlineReader } from './online.ts'
import { Tally } from './tally.ts'

const pageEntities = 100_000
const readsAtOnce = 2000
/** Later than any event time. */
const everUs = 1n << 62n
/** Between a look that found a difference and the next one: longer than a batch takes to be in both. */
const pausesMs = [500, 1000, 2000]
/** More than this on one page are no rows on their way. */
const suspectsMax = 100_000

export async function verifyFeatures(
  config: FeastConfig,
  options: VerifyOptions,
  ctx: SinkContext,
): Promise<readonly FeatureAgreement[]> {
  if (config.offline === undefined) {
    throw new SluiceError('sink.feast.no_offline', {
      message: `Sink ${ctx.name} has no offline log.`,
    })
  }
  await using files = offlineFiles(config.offline, ctx)
  await using online = await openReader(config, ctx)
  const agreements: FeatureAgreement[] = []
  for (const view of plannedViews(config, options.topics, options.views)) {
    const look = new ViewLook(view, { files, online }, options, ctx)
    agreements.push(...(await look.run()))
  }
  return agreements
}

interface Stores {
  readonly files: FileStore
  readonly online: OnlineReader
}

/** Places of keys: after the first, up to the last. */
interface Range {
  readonly after: KeyPlace | null
  readonly last: KeyPlace | null
}

interface Suspect {
  readonly key: Uint8Array
  online: OnlineEntity | null
  verdict: Verdict
}

class ViewLook {
  readonly #view: FeatureView
  readonly #stores: Stores
  readonly #options: VerifyOptions
  readonly #ctx: SinkContext
  readonly #tally: Tally

  constructor(view: FeatureView, stores: Stores, options: VerifyOptions, ctx: SinkContext) {
    this.#view = view
    this.#stores = stores
    this.#options = options
    this.#ctx = ctx
    this.#tally = new Tally(view)
  }

  async run(): Promise<readonly FeatureAgreement[]> {
    let left = this.#options.sample ?? Infinity
    let after: KeyPlace | null = null
    while (left > 0) {
      const limit = Math.min(pageEntities, left)
      const asOfUs = BigInt(Math.floor(this.#options.asOfMs)) * 1000n
      const expected: Expected = await this.#expected({ asOfUs, limit, after })
      await this.#page(expected, { after, last: expected.page.next }, limit)
      left -= expected.page.count
      after = expected.page.next
      if (after === null) break
    }
    return this.#tally.agreements()
  }

  async #expected(part: Pick<AsOf, 'asOfUs' | 'limit' | 'after'>): Promise<Expected> {
    const { order } = this.#view
    const { seed, signal } = this.#options
    const asOf = { ...part, order, seed }
    const page = await latestAsOf(this.#stores.files, offlineView(this.#view), asOf, signal)
    return expectedOf(this.#view, page)
  }

  async #page(expected: Expected, range: Range, limit: number): Promise<void> {
    const suspects: Suspect[] = []
    for (let from = 0; from < expected.keys.length; from += readsAtOnce) {
      await this.#look(expected, expected.keys.slice(from, from + readsAtOnce), suspects)
    }
    const seen = new Set<string>()
    for await (const keys of this.#stores.online.keys(this.#view, this.#options.signal)) {
      const others = keys.filter((key) => {
        const text = keyText(key)
        if (expected.rows.has(text) || seen.has(text) || !this.#isIn(range, key)) return false
        seen.add(text)
        return true
      })
      await this.#look(expected, others, suspects)
    }
    await this.#settle(suspects, range, limit)
  }

  /** Compares entities; what differs goes to `suspects`. */
  async #look(expected: Expected, keys: readonly Uint8Array[], suspects: Suspect[]): Promise<void> {
    if (keys.length === 0) return
    const asOfUs = BigInt(Math.floor(this.#options.asOfMs)) * 1000n
    const found = await this.#stores.online.read(this.#view, keys, this.#options.signal)
    const moment = { asOfUs, nowMs: this.#ctx.clock.nowMs() }
    for (const [i, key] of keys.entries()) {
      const row = expected.rows.get(keyText(key)) ?? -1
      const online = found[i]!
      const verdict = judge(this.#view, { expected, row }, online, moment)
      if (isGood(verdict) || suspects.length >= suspectsMax) this.#count(verdict, key)
      else suspects.push({ key, online, verdict })
    }
  }

  /** Looks at suspects again, as of now, until each agrees or has stayed as it is. */
  async #settle(suspects: readonly Suspect[], { after }: Range, limit: number): Promise<void> {
    const { signal } = this.#options
    let left = suspects
    for (const [look, pauseMs] of pausesMs.entries()) {
      if (left.length === 0) return
      await this.#ctx.clock.sleep(pauseMs, signal)
      // Entities that came meanwhile push others off the page.
      const roomy = { asOfUs: everUs, limit: limit + Math.max(1000, limit >> 1), after }
      const expected = await this.#expected(roomy)
      const isLast = look === pausesMs.length - 1
      left = await this.#lookAgain(left, expected, isLast)
    }
  }

  async #lookAgain(
    suspects: readonly Suspect[],
    expected: Expected,
    isLast: boolean,
  ): Promise<readonly Suspect[]> {
    const left: Suspect[] = []
    for (let from = 0; from < suspects.length; from += readsAtOnce) {
      const part = suspects.slice(from, from + readsAtOnce)
      const keys = part.map(({ key }) => key)
      const found = await this.#stores.online.read(this.#view, keys, this.#options.signal)
      const moment = { asOfUs: everUs, nowMs: this.#ctx.clock.nowMs() }
      for (const [i, suspect] of part.entries()) {
        const row = expected.rows.get(keyText(suspect.key)) ?? -1
        const online = found[i]!
        const verdict = judge(this.#view, { expected, row }, online, moment)
        // The offline log was read between the two looks at the online store.
        const before = judge(this.#view, { expected, row }, suspect.online, moment)
        const isSteady = sameEntity(online, suspect.online) && sameVerdict(verdict, suspect.verdict)
        if (isGood(verdict)) this.#count(verdict, suspect.key)
        else if (isGood(before)) this.#count(before, suspect.key)
        else if (!isLast) left.push({ key: suspect.key, online, verdict })
        else if (isSteady) this.#count(verdict, suspect.key)
        else this.#tally.unsettled()
      }
    }
    return left
  }

  #count(verdict: Verdict, key: Uint8Array): void {
    const { entities } = this.#view
    this.#tally.add(verdict, () => entityName(entities, readEntityKey(key, entities) ?? []))
  }

  /** Whether the key is one of the view's, and would stand on the page. */
  #isIn({ after, last }: Range, key: Uint8Array): boolean {
    const values = readEntityKey(key, this.#view.entities)
    if (values === null) return false
    const place = placeOf(this.#options.seed, entityText(values))
    if (after !== null && comparePlaces(place, after) <= 0) return false
    return last === null || comparePlaces(place, last) <= 0
  }
}

function isGood(verdict: Verdict): boolean {
  return verdict === null || verdict.every((finding) => finding === 'same')
}

function sameVerdict(a: Verdict, b: Verdict): boolean {
  return a === b || (a !== null && b !== null && a.every((finding, i) => finding === b[i]))
}

function sameEntity(a: OnlineEntity | null, b: OnlineEntity | null): boolean {
  if (a === null || b === null) return a === b
  if (a.eventUs !== b.eventUs) return false
  return a.values.every((value, i) => {
    const other = b.values[i] ?? null
    return value === null || other === null ? value === other : Buffer.compare(value, other) === 0
  })
}
