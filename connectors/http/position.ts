/**
 * How far an HTTP source is: a counter of the batches of requests that were taken. Callers keep nothing for
 * us, so that there is no place to go back to; the counter only tells commits apart.
 *
 *   position = 'push:' digits
 */
import { position as toPosition, type Position } from '../../core/connector/source.ts'
import { SluiceError } from '../../core/errors/error.ts'

export interface HttpPosition {
  readonly push: number
}

export function formatPosition({ push }: HttpPosition): Position {
  return toPosition(`push:${push}`)
}

export function parsePosition(position: Position): HttpPosition {
  const digits = /^push:(\d{1,16})$/.exec(position)?.[1]
  if (digits === undefined) {
    throw new SluiceError('internal.bug', { message: 'the position of an HTTP source is none' })
  }
  return { push: Number(digits) }
}

export function atOrAfter(a: Position, b: Position): boolean {
  return parsePosition(a).push >= parsePosition(b).push
}
