/**
 * The requests of a batch's events: address, headers and body, out of the templates or as usual. One
 * that cannot be made throws Unfillable with the reason, or TypeError where a text of the row is not
 * UTF-8: such an event is set aside.
 */
import type { SinkBatch } from '../../core/connector/sink.ts'
import type { JsonOptions } from '../../core/record/json.ts'
import { routesOf, type Route } from './address-template.ts'
import type { Message } from './endpoint.ts'
import type { ChangeEvent } from './events.ts'
import { Payloads } from './payload.ts'
import { isFieldValue, type Target } from './target.ts'
import { jsonFiller, textFiller, Unfillable, type Escape, type Filler } from './template.ts'

export interface MessageOptions {
  readonly target: Target
  readonly pipeline: string
  readonly json: JsonOptions
  /** Events become parts of requests, which name them by `id`. */
  readonly gathered: boolean
}

const none: readonly string[] = []
const raw: Escape = (value) => value

const headerEscape: Escape = (value, name) => {
  if (isFieldValue(value)) return value
  throw new Unfillable(`{${name}} cannot be sent in a header`)
}

export class Messages {
  readonly #payloads: Payloads
  readonly #body: Filler
  readonly #headers: readonly { readonly name: string; readonly value: Filler }[]
  readonly #time: ((event: ChangeEvent) => string) | null
  readonly #route: (event: ChangeEvent) => Route

  constructor({ target, pipeline, json, gathered }: MessageOptions, batch: SinkBatch) {
    const payloads = new Payloads(pipeline, batch, json)
    const values = payloads.values()
    const rows = batch.batch
    const { body, fixed, url } = target
    this.#payloads = payloads
    this.#time = gathered ? values.timestamp : null
    this.#headers = target.headerTemplates.map(({ name, template }) => ({
      name,
      value: textFiller(template, rows, values, headerEscape),
    }))
    this.#route = fixed === null ? routesOf(url, rows, values) : () => fixed
    if (body !== null) {
      this.#body = target.isJson
        ? jsonFiller(body, rows, values)
        : textFiller(body, rows, values, raw)
    } else if (gathered) {
      this.#body = (event) =>
        `{"id":${JSON.stringify(payloads.id(event))},${payloads.text(event).slice(1)}`
    } else this.#body = (event) => payloads.text(event)
  }

  #headersOf(event: ChangeEvent): string[] {
    const headers: string[] = []
    for (const { name, value } of this.#headers) headers.push(name, value(event))
    return headers
  }

  of(event: ChangeEvent): Message {
    const id = this.#payloads.id(event)
    const headers = this.#headers.length === 0 ? none : this.#headersOf(event)
    const route = this.#route(event)
    const body = Buffer.from(this.#body(event))
    const message = { id, events: [id], route, headers, body }
    return this.#time === null ? message : { ...message, time: this.#time(event) }
  }
}
