/**
 * Values as the server prints them (under session.ts) → column builders: one decoder a column, one
 * call a value, no string and no object for the common types. Text that does not follow a type's
 * grammar is an error: reading it as something else would change a value silently.
 */
import { DecimalBuilder } from '../../core/record/decimal-builder.ts'
import { isScaledDecimal, type LogicalType } from '../../core/record/types.ts'
import type { ValueDecoder } from './value-decoder.ts'
import {
  BoolDecoder,
  ByteaDecoder,
  DecimalDecoder,
  TextDecoder,
  UuidDecoder,
} from './values-bytes.ts'
import { ListDecoder } from './values-list.ts'
import { Float32Decoder, Float64Decoder, Int32Decoder, Int64Decoder } from './values-number.ts'
import { DateDecoder, IntervalDecoder, TimeDecoder, TimestampDecoder } from './values-time.ts'

/** A decoder with a builder of its own. Calls may throw `source.postgres.value`. */
export function valueDecoder(type: LogicalType): ValueDecoder {
  switch (type.kind) {
    case 'bool':
      return new BoolDecoder(type)
    case 'int16':
    case 'int32':
      return new Int32Decoder(type)
    case 'int64':
    case 'uint64':
      return new Int64Decoder(type)
    case 'float32':
      return new Float32Decoder(type)
    case 'float64':
      return new Float64Decoder(type)
    case 'decimal':
      return isScaledDecimal(type)
        ? new DecimalDecoder(type, new DecimalBuilder(type.precision, type.scale))
        : new TextDecoder(type)
    case 'date':
      return new DateDecoder(type)
    case 'time':
      return new TimeDecoder(type)
    case 'timestamp':
    case 'timestamptz':
      return new TimestampDecoder(type)
    case 'interval':
      return new IntervalDecoder(type)
    case 'uuid':
      return new UuidDecoder(type)
    case 'bytes':
      return new ByteaDecoder(type)
    case 'list':
      return new ListDecoder(type, valueDecoder(type.element))
    case 'text':
    case 'json':
    case 'other':
      return new TextDecoder(type)
  }
}
