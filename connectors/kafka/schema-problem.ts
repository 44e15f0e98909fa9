/**
 * What is wrong with a schema, said once for all kinds of them. Where a schema comes from decides what
 * becomes of it: one that a record names makes a dead letter of the record, one of the pipeline file
 * stops the source.
 */
import { SluiceError } from '../../core/errors/error.ts'

export interface SchemaOrigin {
  /** For messages: `Schema 12 of registry:8081`, `avro_schema`. */
  readonly what: string
  readonly fault: 'row' | 'config'
}

/** Thrown with a phrase that goes on where `what` stops: `has no fields`. */
export function schemaProblem(origin: SchemaOrigin, phrase: string, cause?: unknown): SluiceError {
  return new SluiceError('source.kafka.schema_invalid', {
    message: `${origin.what} ${phrase}.`,
    fault: origin.fault,
    cause,
  })
}
