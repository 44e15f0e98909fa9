/**
 * Which topic goes to which table. The rule looks at one topic alone, so that a table never changes
 * its name because another topic appeared; two topics that come out at one name are refused.
 *
 *   no dot                        as it is                  revenue_per_minute
 *   source.public.name            name                      shop.public.orders → orders
 *   source.rest                   rest, dots as '_'         shop.sales.orders  → sales_orders
 */
import { SluiceError } from '../../core/errors/error.ts'

export function defaultTable(topic: string): string {
  const dot = topic.indexOf('.')
  if (dot < 0) return topic
  const rest = topic.slice(dot + 1)
  return (rest.startsWith('public.') ? rest.slice('public.'.length) : rest).replaceAll('.', '_')
}

export function liveView(table: string): string {
  return `${table}_live`
}

/** Hands out table names, each to one topic; the names of the `_live` views are taken too. */
export class TableNames {
  readonly #overrides: Readonly<Record<string, string>>
  readonly #owners = new Map<string, string>()
  readonly #tables = new Map<string, string>()

  constructor(overrides: Readonly<Record<string, string>>) {
    this.#overrides = overrides
  }

  /** The topic's table. Throws `sink.clickhouse.table_name` when another topic has that name. */
  tableOf(topic: string): string {
    const known = this.#tables.get(topic)
    if (known !== undefined) return known
    const override = Object.hasOwn(this.#overrides, topic) ? this.#overrides[topic] : undefined
    const table = override ?? defaultTable(topic)
    for (const name of [table, liveView(table)]) {
      const owner = this.#owners.get(name)
      if (owner === undefined) continue
      throw new SluiceError('sink.clickhouse.table_name', {
        message: `Topics ${owner} and ${topic} both need the name ${JSON.stringify(name)} in ClickHouse.`,
        remedy: `Give one of them another table: tables: { ${JSON.stringify(topic)}: another_name }`,
      })
    }
    this.#owners.set(table, topic)
    this.#owners.set(liveView(table), topic)
    this.#tables.set(topic, table)
    return table
  }
}
