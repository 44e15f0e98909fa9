/**
 * Formats: what makes fields of a message's bytes. A format reads one value into one builder a field;
 * RecordDecoder (below) makes rows of it. JSON, CSV, Avro and the others implement ValueFormat.
 */
import type { Code } from '../../errors/codes.ts'
import type { AnyBuilder } from '../../record/builder.ts'
import type { Field } from '../../record/schema.ts'
import type { Batch } from '../../record/batch.ts'
import { SluiceError } from '../../errors/error.ts'
import type { TopicChange } from '../source.ts'
import type { Records } from './records.ts'

/**
 * Why a value was not read: one phrase that names the field and what it should have been, never the
 * value. Made only on failure.
 */
export interface ReadFault {
  readonly field: string | null
  readonly message: string
  /** Where it is not the value's fault; default: `format.field`, or `format.value` without a field. */
  readonly code?: Code
}

/** `where`: the record that it is about. */
export function readFaultError({ field, message, code }: ReadFault, where: string): SluiceError {
  const what = field === null ? '' : `${field}: `
  const said = code ?? (field === null ? 'format.value' : 'format.field')
  const subject = said === 'format.key' ? 'the key: ' : ''
  return new SluiceError(said, { message: `${where}: ${subject}${what}${message}` })
}

/** The format lacks something that only the network can tell (a schema); call `prepare`, then read again. */
export const notReady: ReadFault = { field: null, message: 'not ready' }

export interface ValueFormat {
  /** The fields that it reads, in order; null = not known before the first record (a registry). */
  readonly fields: readonly Field[] | null
  /**
   * Appends the value at bytes[start, end) to the builders, one of `builderFor(field.type)` a field, and
   * returns null; or says why it cannot, when some builders may have got a value already: the caller
   * rewinds them. Synchronous, and allocates nothing per value.
   */
  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null
  /**
   * After `notReady`: fetches what is missing. `fields` may be others afterwards. Throws a SluiceError
   * (`transient`: the registry does not answer; `row`: this record's schema cannot be had or read).
   */
  prepare(signal: AbortSignal): Promise<void>
}

/** A column beside those of the value: a Kafka offset, a header of the request. */
export interface ExtraColumn {
  readonly field: Field
  /** Appends this column's value of one record. */
  append(builder: AnyBuilder, records: Records, index: number): void
}

/** Records that do not fit, as rows of `rawSchema` or the like, and why; one error a row, of fault `row`. */
export interface RejectedRecords {
  /** The topic that they would have gone to, without the source's name. */
  readonly topic: string
  readonly batch: Batch
  readonly errors: readonly SluiceError[]
  /** Of each, its place in the Records that it was decoded from. */
  readonly indexes: readonly number[]
}

export interface Decoded {
  readonly changes: readonly TopicChange[]
  readonly rejected: readonly RejectedRecords[]
}

/** Makes rows of one topic's records. Implemented for plain values and for Debezium's change events. */
export interface RecordDecoder {
  /** Rows and bytes gathered and not taken. */
  readonly rows: number
  readonly byteLength: number
  /**
   * Decodes from record `from` on; returns the index of the first record that it could not look at yet
   * (`prepare`, then go on from there), or `records.count`. Keeps nothing of `records`. Throws `config` where
   * the topic's columns contradict each other, and has looked at no record then.
   */
  decode(records: Records, from: number): number
  /** As ValueFormat.prepare; a `row` fault means that the next record is rejected when decoded again. */
  prepare(signal: AbortSignal): Promise<void>
  /**
   * Hands over what was gathered. The topic's schema first, as a batch of no rows, where nothing was yet. Throws
   * as `decode`, and only where nothing was gathered.
   */
  take(): Decoded
}
