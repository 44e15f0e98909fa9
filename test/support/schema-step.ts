import type { SchemaStep } from '../../core/connector/sink.ts'
import type { Schema } from '../../core/record/schema.ts'

/** A step in which nothing needed anybody's yes. */
export function step(from: Schema | null, to: Schema): SchemaStep {
  return { from, to, agreed: [] }
}
