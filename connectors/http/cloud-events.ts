/**
 * CloudEvents 1.0.2 over HTTP (cloudevents/spec, bindings/http-protocol-binding.md §3).
 *
 *   binary      attributes in headers `ce-<name>`, percent-encoded; the body is the data
 *   structured  application/cloudevents+json: one object of attributes with `data` or `data_base64`
 *   batch       application/cloudevents-batch+json: an array of those
 *
 * `id`, `source`, `specversion` and `type` are always there. An event without data is a record without
 * value. `data_base64` has to hold what the topic's format reads.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { ReadFault } from '../../core/connector/format/format.ts'
import { jsonElements, JsonMembers, Ranges } from '../../core/connector/format/json-ranges.ts'
import type { Attributes } from './push-columns.ts'

export type CloudMode = 'binary' | 'structured' | 'batch'

const requiredNames = ['id', 'source', 'specversion', 'type'] as const

/** null: the request is no CloudEvent. `mediaType`: without its parameters, in lower case. */
export function cloudMode(mediaType: string, headers: IncomingHttpHeaders): CloudMode | null {
  if (mediaType === 'application/cloudevents+json') return 'structured'
  if (mediaType === 'application/cloudevents-batch+json') return 'batch'
  return headers['ce-specversion'] === undefined ? null : 'binary'
}

/** What is wrong with the event, or null. */
export function eventFault(attributes: Attributes): string | null {
  for (const name of requiredNames) {
    const value = attributes(name)
    if (value === null || value === '') return `the attribute ${name} is missing`
  }
  // 1.0.1 and 1.0.2 say 1.0 too.
  return attributes('specversion') === '1.0' ? null : 'the specversion is not 1.0'
}

export function headerAttributes(headers: IncomingHttpHeaders): Attributes {
  return (name) => {
    const value = headers[`ce-${name}`]
    if (typeof value !== 'string') return null
    try {
      return decodeURIComponent(value)
    } catch {
      // A percent sign that encodes nothing stands for itself (§3.1.3.2 wants it encoded; many do not).
      return value
    }
  }
}

export interface StructuredEvent {
  readonly attributes: Attributes
  /** Where the data is in the body; −1 = there is none. */
  readonly start: number
  readonly end: number
  /** The data instead of a place in the body. */
  readonly decoded: Uint8Array | null
}

/** Finds the events of a body in structured or batch mode. */
export class EventReader {
  readonly #names: readonly string[]
  readonly #members: JsonMembers
  readonly #ranges = new Ranges()

  /** `wanted`: names of attributes that are asked for, beside those that always are. */
  constructor(wanted: readonly string[]) {
    this.#names = [...new Set([...requiredNames, 'datacontenttype', ...wanted])]
    this.#members = new JsonMembers(['data', 'data_base64', ...this.#names])
  }

  /** Places of the events in the body; null with a reason where it is no JSON array. */
  batch(body: Uint8Array): Ranges | ReadFault {
    this.clear()
    return jsonElements(body, 0, body.length, this.#ranges) ?? this.#ranges
  }

  /** Forgets the places. */
  clear(): void {
    this.#ranges.clear()
  }

  /** The event at body[start, end), or what is wrong with it. */
  event(body: Uint8Array, start: number, end: number): StructuredEvent | string {
    const members = this.#members
    const fault = members.find(body, start, end)
    if (fault !== null) return fault.message
    const values = new Map<string, string>()
    for (const [index, name] of this.#names.entries()) {
      if (!members.has(index + 2, body)) continue
      const text = textOf(body, members.starts[index + 2]!, members.ends[index + 2]!)
      if (text === null) return `the attribute ${name} is neither text, number nor boolean`
      values.set(name, text)
    }
    const attributes: Attributes = (name) => values.get(name) ?? null
    const missing = eventFault(attributes)
    if (missing !== null) return missing
    if (!members.has(1, body)) {
      const found = members.has(0, body)
      const [from, to] = found ? [members.starts[0]!, members.ends[0]!] : [-1, -1]
      return { attributes, start: from, end: to, decoded: null }
    }
    const base64 = textOf(body, members.starts[1]!, members.ends[1]!)
    if (base64 === null || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64))
      return 'data_base64 is not base64'
    return { attributes, start: -1, end: -1, decoded: Buffer.from(base64, 'base64') }
  }
}

/** A scalar as text; the range was checked to be JSON. */
function textOf(body: Uint8Array, start: number, end: number): string | null {
  const text = Buffer.from(body.buffer, body.byteOffset + start, end - start).toString('utf8')
  if (text.startsWith('"')) return JSON.parse(text) as string
  return text.startsWith('{') || text.startsWith('[') ? null : text
}
