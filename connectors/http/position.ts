/**
 * How far an HTTP source is: a counter of the batches of requests that were taken, and for each topic that
 * is polled where it goes on. Callers keep nothing for us, so that there is no place to go back to; the
 * counter only tells commits apart.
 *
 *   position = 'push:' digits [ ' poll:' JSON ]        JSON: the states by topic, poll-state.ts
 */
import { position as toPosition, type Position } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { pollStates, type PollStates } from './poll-state.ts'

export interface HttpPosition {
  readonly push: number
  readonly poll?: PollStates
}

export function formatPosition({ push, poll = {} }: HttpPosition): Position {
  if (Object.keys(poll).length === 0) return toPosition(`push:${push}`)
  return toPosition(`push:${push} poll:${JSON.stringify(poll)}`)
}

export function parsePosition(position: Position): HttpPosition {
  const [, digits, json] = /^push:(\d{1,16})(?: poll:(\{[^]*\}))?$/.exec(position) ?? []
  if (digits === undefined) throw noPosition()
  if (json === undefined) return { push: Number(digits) }
  const states = pollStates.safeParse(jsonOf(json))
  if (!states.success) throw noPosition()
  return { push: Number(digits), poll: states.data }
}

/** Each topic goes on by itself: later is what is later, or as late, in all of them. */
export function atOrAfter(a: Position, b: Position): boolean {
  const [one, other] = [parsePosition(a), parsePosition(b)]
  if (one.push < other.push) return false
  return Object.entries(other.poll ?? {}).every(
    ([topic, { step }]) => (one.poll?.[topic]?.step ?? -1) >= step,
  )
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function noPosition(): SluiceError {
  return new SluiceError('internal.bug', { message: 'the position of an HTTP source is none' })
}
