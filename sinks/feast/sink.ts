/**
 * One batch of a topic: to each view that takes it, first into the online store, then into the offline
 * log. Both may be repeated. A row that the store refuses is not logged: when it comes again, mended, it
 * has the same place in the log, and there it is written once.
 */
import type {
  RowProblem,
  SchemaStep,
  Sink,
  SinkBatch,
  SinkResult,
  TopicInfo,
} from '../../core/connector/sink.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { failpoint } from '../../core/errors/failpoint.ts'
import { acceptRows, type Accepted } from './accept.ts'
import { refuseCollisions } from './collisions.ts'
import type { FeastConfig } from './config.ts'
import type { Freshness } from './freshness.ts'
import { Routes } from './routes.ts'
import { encodeRows, RowBuffers, RowSlices } from './rows.ts'
import type { OfflineLog } from './offline/log.ts'
import { LogGuard } from './other-log.ts'
import { offlineView } from './offline/of-view.ts'
import type { OfflineRows } from './offline/rows.ts'
import type { OnlineTarget, TargetProblem } from './target.ts'
import { planView, type FeatureView } from './view.ts'

export interface Stores {
  readonly online: OnlineTarget
  readonly offline: OfflineLog | null
  readonly freshness: Freshness
}

export class FeastSink implements Sink {
  readonly #config: FeastConfig
  readonly #stores: Stores
  readonly #routes: Routes
  readonly #guard: LogGuard
  readonly #topics: readonly TopicInfo[]
  /** By topic. */
  readonly #views = new Map<string, readonly FeatureView[]>()
  /** Of lanes that have ended: as many as there ever were at a time. */
  readonly #buffers: RowBuffers[] = []

  /** The stores are disposed of with the sink. */
  constructor(config: FeastConfig, topics: readonly TopicInfo[], stores: Stores) {
    this.#config = config
    this.#stores = stores
    this.#topics = topics
    this.#guard = new LogGuard(stores.online.ends ?? null)
    this.#routes = new Routes(
      config,
      topics.map(({ name }) => name),
    )
  }

  async evolve(topic: string, { to, agreed }: SchemaStep, signal: AbortSignal): Promise<void> {
    const names = this.#routes.viewsOf(topic)
    this.#refuseRekeyed(names, topic, agreed)
    const views = names.map((name) => planView(this.#config, name, topic, to))
    const others = [...this.#views].filter(([other]) => other !== topic).flatMap(([, all]) => all)
    refuseCollisions([...others, ...views])
    for (const view of views) {
      // First: its rows wait also while a store that is away keeps it from what follows.
      this.#stores.freshness.watch(view)
      await this.#stores.offline?.evolve(offlineView(view), signal)
      await this.#stores.online.evolve(view, signal)
      await this.#forget(view, agreed, signal)
    }
    this.#views.set(topic, views)
  }

  async write(sent: SinkBatch, signal: AbortSignal): Promise<SinkResult> {
    const rejected = new Map<number, RowProblem>()
    const views = this.#viewsOf(sent)
    await this.#guard.meet(views, sent, signal)
    for (const view of views) {
      const accepted = acceptRows(view, sent)
      const problems = await this.#writeView(accepted, signal)
      this.#stores.freshness.written(accepted)
      for (const problem of problems) {
        if (rejected.has(problem.row)) continue
        rejected.set(problem.row, { ...problem, attempts: sent.attempt })
      }
    }
    await this.#guard.passed(views, sent, signal)
    return { rejected: [...rejected.values()].sort((a, b) => a.row - b.row) }
  }

  async truncate(
    topic: string,
    { offset }: { readonly offset: number },
    signal: AbortSignal,
  ): Promise<void> {
    for (const view of await this.#viewsIn(topic, signal)) {
      await this.#stores.online.truncate(view, offset, signal)
      const { name, order } = view
      await this.#stores.offline?.truncate(name, { offset, order }, signal)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stores.freshness[Symbol.asyncDispose]()
    await this.#stores.offline?.[Symbol.asyncDispose]()
    await this.#stores.online[Symbol.asyncDispose]()
  }

  /** After a start a truncate may come before any row: of which there were some, or nothing is to go. */
  async #viewsIn(topic: string, signal: AbortSignal): Promise<readonly FeatureView[]> {
    const known = this.#views.get(topic)
    if (known !== undefined) return known
    const to = this.#topics.find(({ name }) => name === topic)?.schema ?? null
    if (to === null) return []
    await this.evolve(topic, { from: null, to, agreed: [] }, signal)
    return this.#views.get(topic)!
  }

  #refuseRekeyed(names: readonly string[], topic: string, agreed: SchemaStep['agreed']): void {
    const rekeyed = agreed.find((change) => change.kind === 'key')
    const view = names.find((name) => this.#config.views[name]!.entities === undefined)
    if (rekeyed === undefined || view === undefined) return
    throw new SluiceError('sink.feast.view', {
      message: `View ${view}: the key of topic ${topic}, which are its entities, is (${rekeyed.to.join(', ')}) instead of (${rekeyed.from.join(', ')}), and the features of the old ones would stay for ever.`,
      remedy: `Give the sink another name and the view another \`version\`, so that every row is written anew; or name its entities: views.${view}.entities: [${rekeyed.from.join(', ')}].`,
    })
  }

  /**
   * Columns that somebody agreed to drop or rename: what is served under their names would never change
   * again. What is renamed goes on under its new name, unless the view does not take that.
   */
  async #forget(
    view: FeatureView,
    agreed: SchemaStep['agreed'],
    signal: AbortSignal,
  ): Promise<void> {
    const { online } = this.#stores
    const has = (name: string): boolean => view.features.some((feature) => feature.name === name)
    const gone: string[] = []
    for (const change of agreed) {
      if (change.kind !== 'drop' && change.kind !== 'rename') continue
      const from = change.from.name
      if (has(from)) continue
      if (change.kind === 'rename' && has(change.to.name)) {
        await online.rename?.(view, { from, to: change.to.name }, signal)
      } else gone.push(from)
    }
    if (gone.length > 0) await online.forget?.(view, gone, signal)
  }

  async #writeView(accepted: Accepted, signal: AbortSignal): Promise<readonly TargetProblem[]> {
    const { view, sent, refused } = accepted
    const { offline } = this.#stores
    if (offline === null) {
      return [...refused, ...(await this.#writeOnline(accepted, null, signal))]
    }
    const unfit = offline.unfit(view.name, offlineRows(accepted, null))
    const except = unfit.length === 0 ? null : marked(sent.batch.rows, unfit)
    const problems = [...unfit, ...(await this.#writeOnline(accepted, except, signal))]
    failpoint('sink.feast.before_offline')
    const written = problems.length === 0 ? null : marked(sent.batch.rows, problems)
    await offline.append(view.name, offlineRows(accepted, written), signal)
    return [...refused, ...problems]
  }

  async #writeOnline(
    accepted: Accepted,
    except: Uint8Array | null,
    signal: AbortSignal,
  ): Promise<readonly TargetProblem[]> {
    const { online } = this.#stores
    const write = () => this.#writeSlices(accepted, except, signal)
    return online.safely === undefined ? write() : online.safely(write, signal)
  }

  /** Encodes the next entities while those before them are written. */
  async #writeSlices(
    accepted: Accepted,
    except: Uint8Array | null,
    signal: AbortSignal,
  ): Promise<readonly TargetProblem[]> {
    const { online } = this.#stores
    if (online.entitiesAtOnce === undefined)
      return online.write(encodeRows(accepted, except), signal)
    const slices = new RowSlices(accepted, except, online.entitiesAtOnce)
    const problems: TargetProblem[] = []
    // Two lanes: one encodes and sends while the other waits. Neither goes on for nobody.
    const lane = async (): Promise<void> => {
      const buffers = this.#buffers.pop() ?? new RowBuffers()
      for (let rows = slices.next(buffers); rows !== null; rows = slices.next(buffers)) {
        problems.push(...(await online.write(rows, signal)))
      }
      if (buffers.worthKeeping) this.#buffers.push(buffers)
    }
    const ends = await Promise.allSettled([lane(), lane()])
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    return problems
  }

  #viewsOf({ id, topic, batch }: SinkBatch): readonly FeatureView[] {
    const views = this.#views.get(topic)
    if (views === undefined || views.some(({ schema }) => schema.id !== batch.schema.id)) {
      throw new SluiceError('internal.bug', {
        message: `Batch ${id} of ${topic} came before its schema.`,
      })
    }
    return views
  }
}

function marked(rows: number, problems: readonly TargetProblem[]): Uint8Array {
  const marks = new Uint8Array(rows)
  for (const { row } of problems) marks[row] = 1
  return marks
}

/** Every row, not only what is left of each entity. */
function offlineRows(accepted: Accepted, except: Uint8Array | null): OfflineRows {
  const { sent, rows, deleted, seconds, nanos } = accepted
  const kept = Int32Array.from(rows.keys()).filter((i) => except === null || except[rows[i]!] === 0)
  return {
    batch: sent.batch,
    offset: sent.offset,
    rows: kept.map((i) => rows[i]!),
    deleted: Uint8Array.from(kept, (i) => deleted[i]!),
    seconds: Float64Array.from(kept, (i) => seconds[i]!),
    nanos: kept.map((i) => nanos[i]!),
  }
}
