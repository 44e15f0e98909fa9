/**
 * JsonSchemaCodec: JSON under schemas of the registry. The schemas give the columns, newest first, and
 * the JSON format reads them by name, so that it does not matter which schema a value was written by.
 *
 *   value = JSON                          RFC 8259
 */
import type { EpochUnits } from '../../../core/connector/format/epoch.ts'
import type { ReadFault } from '../../../core/connector/format/format.ts'
import { JsonFormat } from '../../../core/connector/format/json-format.ts'
import type { AnyBuilder } from '../../../core/record/builder.ts'
import type { Field } from '../../../core/record/schema.ts'
import { holdsType } from '../../../core/record/type-order.ts'
import type { LogicalType } from '../../../core/record/types.ts'
import type { RegisteredSchema } from '../registry/client.ts'
import { keptFields, SchemaOrder, type SchemaCodec } from '../schema-codec.ts'
import type { SchemaOrigin } from '../schema-problem.ts'
import { jsonSchemaColumns, type JsonColumn, type JsonColumns } from './columns.ts'

export class JsonSchemaCodec implements SchemaCodec {
  readonly type = 'JSON'
  readonly #column: string
  #schemas = new SchemaOrder<JsonColumns>()
  #fields: readonly Field[] | null = null
  #format = new JsonFormat([])

  /** `column`: what the column is called of a schema that describes no properties. */
  constructor(column: string) {
    this.#column = column
  }

  get fields(): readonly Field[] | null {
    return this.#fields
  }

  has(id: number): boolean {
    return this.#schemas.get(id) !== undefined
  }

  add(schema: RegisteredSchema, isNewest: boolean, origin: SchemaOrigin): void {
    const columns =
      this.#schemas.get(schema.id) ??
      jsonSchemaColumns(schema.text, schema.references, this.#column, origin)
    this.#schemas = this.#schemas.with(schema.id, columns, isNewest)
    const all = this.#schemas.sorted().map(([, one]) => one)
    const { fields, epoch } = together(all.map((one) => one.columns))
    const bare = all.some(({ isBare }) => isBare)
    this.#fields = keptFields(this.#fields, fields)
    this.#format = new JsonFormat(this.#fields, { epoch, bare })
  }

  /** A schema is read as a whole when it comes. */
  settle(): void {}

  read(
    _id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    builders: readonly AnyBuilder[],
  ): ReadFault | null {
    return this.#format.read(bytes, start, end, builders)
  }
}

/** The columns of all schemas: those of the newest first, each of a type that holds the values of all. */
function together(schemas: readonly (readonly JsonColumn[])[]): {
  readonly fields: readonly Field[]
  readonly epoch: EpochUnits
} {
  const fields = new Map<string, Field>()
  const epoch: Record<string, NonNullable<JsonColumn['epoch']>> = {}
  for (const columns of schemas) {
    for (const { name, type, epoch: unit } of columns) {
      const known = fields.get(name)
      const nullable = schemas.some(
        (each) => each.find((column) => column.name === name)?.nullable !== false,
      )
      fields.set(name, {
        name,
        type: known === undefined ? type : wider(known.type, type),
        nullable,
      })
      if (unit !== null) epoch[name] ??= unit
    }
  }
  return { fields: [...fields.values()], epoch }
}

/** The newer type where the older one does not hold it: values that do not fit it are rejected. */
function wider(newer: LogicalType, older: LogicalType): LogicalType {
  if (newer.kind === 'json' || older.kind === 'json') return { kind: 'json' }
  return !holdsType(newer, older) && holdsType(older, newer) ? older : newer
}
