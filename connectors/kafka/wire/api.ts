/**
 * The requests that the driver makes, and which versions of them: from Kafka 0.10.1 (2016) to 4.x. The highest
 * version that both sides know is used; the ranges of Kafka 4 begin where Kafka 2.1's ended (KIP-896).
 */
import { SluiceError } from '../../../core/errors/error.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

export interface Api<Request, Answer> {
  readonly name: string
  readonly key: number
  readonly min: number
  readonly max: number
  /** The first version with compact lengths and tagged fields. */
  readonly flexibleFrom: number
  write(to: Writer, request: Request, version: number): void
  read(from: Reader, version: number): Answer
}

/** By API key. */
export type Versions = ReadonlyMap<number, { readonly min: number; readonly max: number }>

export interface Encoded {
  readonly name: string
  readonly key: number
  readonly version: number
  readonly isFlexible: boolean
  /** Everything behind the client's id. */
  readonly body: Buffer
}

/** The highest common version; −1 = none. */
export function commonVersion(api: Api<never, unknown>, versions: Versions): number {
  const range = versions.get(api.key)
  if (range === undefined) return -1
  const version = Math.min(api.max, range.max)
  return version < Math.max(api.min, range.min) ? -1 : version
}

export function encode<Request>(
  api: Api<Request, unknown>,
  request: Request,
  version: number,
): Encoded {
  const isFlexible = version >= api.flexibleFrom
  const writer = new Writer(isFlexible)
  // The head of a flexible request ends with its tagged fields, and so does that of its answer (KIP-482).
  writer.tags()
  api.write(writer, request, version)
  return { name: api.name, key: api.key, version, isFlexible, body: writer.bytes }
}

export function decode<Answer>(
  api: Api<never, Answer>,
  bytes: Buffer,
  { version, isFlexible }: Encoded,
): Answer {
  const reader = new Reader(bytes, isFlexible)
  reader.tags()
  return api.read(reader, version)
}

export function noCommonVersion(api: string, where: string): SluiceError {
  return new SluiceError('source.kafka.version', {
    message: `The broker at ${where} offers no version of ${api} that Sluice speaks.`,
  })
}

/**
 * Version 0 is answered by every broker: with a newer one, old brokers end the connection. Its answer never has
 * a flexible header.
 */
export const apiVersions: Api<null, { readonly error: number; readonly versions: Versions }> = {
  name: 'ApiVersions',
  key: 18,
  min: 0,
  max: 0,
  flexibleFrom: 3,
  write: () => {},
  read: (from) => {
    const error = from.int16()
    const ranges = from.array(
      () => [from.int16(), { min: from.int16(), max: from.int16() }] as const,
    )
    return { error, versions: new Map(ranges) }
  },
}
