/**
 * Metrics for Prometheus. A task gets a view of the registry that adds its own labels; names and
 * units come from the callers, help texts and buckets from metric-catalogue.ts.
 *
 * Bounded: a metric holds at most `seriesMax` label combinations, beyond which new ones are counted
 * and left out, since a label that follows the data would otherwise fill memory.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { defaultBuckets, metricCatalogue } from './metric-catalogue.ts'

/** The shape of the connector contract's Metrics, which this folder does not import. */
export interface TaskMetrics {
  count(name: string, by?: number, labels?: Labels): void
  gauge(name: string, value: number, labels?: Labels): void
  observe(name: string, value: number, labels?: Labels): void
}
type Labels = Readonly<Record<string, string>>

const prefix = 'sluice_'
const seriesMax = 2000

type Metric = Counter | Gauge | Histogram
type MetricKind = 'counter' | 'gauge' | 'histogram'
interface Family {
  readonly kind: MetricKind
  readonly metric: Metric
  readonly labelNames: readonly string[]
  readonly series: Set<string>
}

export class MetricsRegistry {
  readonly #registry = new Registry()
  readonly #families = new Map<string, Family>()
  readonly #dropped: Counter
  readonly #beforeRender: (() => void)[] = []

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    this.#dropped = new Counter({
      name: `${prefix}metrics_dropped_total`,
      help: 'Values left out because a metric had too many series or was used in two ways.',
      registers: [this.#registry],
    })
  }

  /** Metrics of one task; `labels` stand on every value. */
  forTask(labels: Labels): TaskMetrics {
    return {
      count: (name, by = 1, more) => this.#change('counter', name, by, { ...labels, ...more }),
      gauge: (name, value, more) => this.#change('gauge', name, value, { ...labels, ...more }),
      observe: (name, value, more) =>
        this.#change('histogram', name, value, { ...labels, ...more }),
    }
  }

  /** Called whenever somebody asks for the metrics, to set those that change by themselves. */
  onRender(set: () => void): void {
    this.#beforeRender.push(set)
  }

  /** The exposition text and its content type. */
  async render(): Promise<{ readonly text: string; readonly contentType: string }> {
    for (const set of this.#beforeRender) set()
    return { text: await this.#registry.metrics(), contentType: this.#registry.contentType }
  }

  #change(kind: MetricKind, name: string, value: number, labels: Labels): void {
    const family = this.#family(kind, name, labels)
    const known = this.#fit(family, labels)
    // A counter that is asked to go down, or a value that is no number, would make prom-client throw
    // in the middle of a task; a broken metric must not stop data.
    if (known === null || family.kind !== kind || !Number.isFinite(value)) this.#dropped.inc()
    else if (family.metric instanceof Counter) {
      if (value >= 0) family.metric.inc(known, value)
      else this.#dropped.inc()
    } else if (family.metric instanceof Gauge) family.metric.set(known, value)
    else family.metric.observe(known, value)
  }

  #family(kind: MetricKind, name: string, labels: Labels): Family {
    const found = this.#families.get(name)
    if (found !== undefined) return found
    const entry = metricCatalogue[name]
    const labelNames = Object.keys(labels)
    const common = {
      name: `${prefix}${name.replace(/[^A-Za-z0-9_]/g, '_')}`,
      help: entry?.help ?? name.replaceAll('_', ' '),
      labelNames,
      registers: [this.#registry],
    }
    const metric =
      kind === 'counter'
        ? new Counter(common)
        : kind === 'gauge'
          ? new Gauge(common)
          : new Histogram({ ...common, buckets: [...(entry?.buckets ?? defaultBuckets)] })
    const family: Family = { kind, metric, labelNames, series: new Set() }
    this.#families.set(name, family)
    return family
  }

  /** The labels that the metric was first used with: missing ones are empty, others are left out. */
  #fit(family: Family, labels: Labels): Record<string, string> | null {
    const fitted: Record<string, string> = {}
    for (const label of family.labelNames) fitted[label] = labels[label] ?? ''
    const series = JSON.stringify(fitted)
    if (!family.series.has(series)) {
      if (family.series.size >= seriesMax) return null
      family.series.add(series)
    }
    return fitted
  }
}
