import { z } from 'zod'
import type { AnyBuilder } from '../../core/record/builder.ts'
import type { ReadFault, ValueFormat } from '../../core/connector/format/format.ts'
import { parseColumnType } from '../../core/connector/format/schema-text.ts'
import type { Field } from '../../core/record/schema.ts'

export const formatKeys = {
  format: z.enum(['json', 'csv', 'text', 'bytes']).default('json').meta({ description: 'x' }),
  schema: z.record(z.string(), z.string()).meta({ description: 'x' }),
  key: z.array(z.string()).default([]).meta({ description: 'x' }),
}

export function tempFormat(schema: Record<string, string>): ValueFormat {
  const fields: Field[] = Object.entries(schema).map(([name, text]) => ({
    name,
    ...(parseColumnType(text) as Omit<Field, 'name'>),
  }))
  return {
    fields,
    prepare: async () => {},
    read: (bytes, start, end, builders): ReadFault | null => {
      let value: Record<string, unknown>
      try {
        value = JSON.parse(Buffer.from(bytes.subarray(start, end)).toString()) as Record<
          string,
          unknown
        >
      } catch {
        return { field: null, message: 'not JSON' }
      }
      if (typeof value !== 'object' || value === null)
        return { field: null, message: 'not an object' }
      for (const [i, field] of fields.entries()) {
        const builder = builders[i]! as AnyBuilder
        const v = value[field.name]
        if (v === undefined || v === null) {
          if (!field.nullable) return { field: field.name, message: 'is missing' }
          builder.appendNull()
          continue
        }
        if (field.type.kind === 'int64') {
          if (!Number.isSafeInteger(Number(v)))
            return { field: field.name, message: 'expected int64' }
          ;(builder as unknown as { append(n: number): void }).append(Number(v))
        } else (builder as unknown as { appendString(s: string): void }).appendString(String(v))
      }
      return null
    },
  }
}
