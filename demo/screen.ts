/** What the demo shows: redrawn in place on a terminal, a few plain lines each time elsewhere. */
import type { WriteStream } from 'node:tty'
import type { Traffic } from './shop.ts'

export interface Frame {
  readonly seconds: number
  readonly firstRowMs: number | null
  readonly traffic: Traffic
  readonly tables: readonly { readonly name: string; readonly rows: number }[]
  readonly revenue: readonly {
    readonly minute: string
    readonly region: string
    readonly orders: string
    readonly revenue: string
  }[]
  readonly webhooks: { readonly verified: number; readonly refused: number }
}

/** Between two frames on a plain output. */
const plainEverySeconds = 5

export class Screen {
  readonly #out: WriteStream
  #lines = 0
  #lastPlain = -Infinity

  constructor(out: WriteStream) {
    this.#out = out
  }

  show(frame: Frame): void {
    if (!this.#out.isTTY) {
      const first = this.#lastPlain === -Infinity && frame.firstRowMs !== null
      if (!first && frame.seconds - this.#lastPlain < plainEverySeconds) return
      if (frame.firstRowMs === null) return
      this.#lastPlain = frame.seconds
      this.#out.write(`${lines(frame).join('\n')}\n\n`)
      return
    }
    const text = lines(frame)
    const up = this.#lines === 0 ? '' : `\u001B[${this.#lines}A`
    this.#out.write(`${up}${text.map((line) => `${line}\u001B[K`).join('\n')}\u001B[J\n`)
    this.#lines = text.length
  }
}

function lines({ seconds, firstRowMs, traffic, tables, revenue, webhooks }: Frame): string[] {
  const { inserted, updated, deleted } = traffic
  const first =
    firstRowMs === null
      ? 'waiting for the first row'
      : `first row after ${(firstRowMs / 1000).toFixed(1)} s`
  return [
    `── ${seconds.toFixed(0)} s · ${first} ──`,
    `Postgres     ${number(inserted)} orders inserted, ${number(updated)} updates, ${number(deleted)} deletes`,
    `ClickHouse   ${tables.map(({ name, rows }) => `${name} ${number(rows)}`).join(' · ') || '-'}`,
    `Webhooks     ${number(webhooks.verified)} received, signature verified${webhooks.refused > 0 ? `, ${webhooks.refused} refused` : ''}`,
    '',
    'Revenue per minute, computed by the SQL of the pipeline and read back from ClickHouse:',
    '  minute  region   orders      revenue',
    ...revenue.map(
      (row) =>
        `  ${row.minute}   ${row.region.padEnd(7)} ${row.orders.padStart(7)} ${row.revenue.padStart(12)}`,
    ),
  ]
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}
