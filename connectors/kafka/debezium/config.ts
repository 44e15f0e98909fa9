/**
 * `format: debezium` in the pipeline file: the zod pieces (spread `debeziumShape` into a strict object),
 * what can be wrong between them and the other words of a topic, and the settings that they make.
 */
import { z } from 'zod'
import type { EpochUnits } from '../../../core/connector/format/epoch.ts'
import type { SettingProblem } from '../../../core/connector/format/format-config.ts'
import type { DebeziumSettings } from './settings.ts'

/** As everywhere in `recordsShape`, nothing has a default here. */
export const debeziumShape = {
  encoding: z.enum(['json', 'avro']).optional().meta({
    description:
      'Of format: debezium, how the events are written: json, with or without schemas, or avro of the `registry`. Default: told by the first byte of each.',
  }),
  unwrapped: z.boolean().optional().meta({
    description:
      'Of format: debezium, true: rows without an envelope, as Debezium’s ExtractNewRecordState leaves them (with `__op` and `__deleted` where it adds those).',
  }),
  before: z.enum(['key', 'full']).optional().meta({
    description:
      'Of format: debezium, what a change tells of the row before it. key (default): its key, which is right for all tables that have one. full: the whole row, as with REPLICA IDENTITY FULL; the rows of tables without key can be followed then.',
  }),
  debezium: z
    .strictObject({
      op_field: z.string().min(1).optional().meta({
        description: 'Of unwrapped rows: the field that says the operation. Default: __op.',
      }),
      deleted_field: z.string().min(1).optional().meta({
        description:
          'Of unwrapped rows: the field that says that it was deleted. Default: __deleted.',
      }),
      decimals: z.enum(['precise', 'text']).optional().meta({
        description:
          'Of JSON without schemas: how decimals stand in texts. precise (default): in base64, as decimal.handling.mode=precise writes them; text: in digits (string).',
      }),
      placeholder: z.string().min(1).optional().meta({
        description: 'Debezium’s unavailable.value.placeholder, where it was set to another one.',
      }),
    })
    .optional()
    .meta({ description: 'Settings of Debezium that differ from its defaults.' }),
}

export type DebeziumWords = {
  readonly [K in keyof typeof debeziumShape]?: z.output<(typeof debeziumShape)[K]>
}

/** The other words of a topic that it looks at. */
interface TopicWords extends DebeziumWords {
  readonly format?: string | undefined
  readonly schema?: Readonly<Record<string, string>> | undefined
  readonly key?: readonly string[] | undefined
  readonly key_format?: string | undefined
  readonly epoch?: EpochUnits | undefined
  readonly csv?: unknown
  readonly registry?: unknown
  readonly tombstones?: 'delete' | 'ignore' | undefined
}

export const debeziumWords = Object.keys(debeziumShape) as readonly (keyof DebeziumWords)[]

/** What is wrong between the words, of a topic of this format and of others. */
export function debeziumProblems(words: TopicWords): readonly SettingProblem[] {
  const problems: SettingProblem[] = []
  const add = (path: readonly string[], message: string): void => {
    problems.push({ path, message })
  }
  const { format = 'json', schema = {}, key = [], epoch, unwrapped, debezium } = words
  if (format !== 'debezium') {
    for (const word of debeziumWords) {
      if (words[word] !== undefined) add([word], `is for format: debezium, and this is ${format}`)
    }
    return problems
  }
  if (words.encoding === 'avro' && words.registry === undefined)
    add(['encoding'], 'avro needs a `registry`')
  if (words.key_format !== undefined)
    add(['key_format'], 'is not needed: the keys of change events say what they are')
  if (words.csv !== undefined) add(['csv'], 'is for format: csv, and this is debezium')
  if (unwrapped === true && words.before === 'full')
    add(['before'], 'unwrapped rows do not say what they were before')
  for (const word of ['op_field', 'deleted_field'] as const) {
    if (debezium?.[word] !== undefined && unwrapped !== true)
      add(['debezium', word], 'is a field of unwrapped rows, and these have an envelope')
  }
  key.forEach((name, i) => {
    if (key.indexOf(name) < i)
      problems.push({ path: ['key', i], message: `${name} is there twice` })
    else if (schema[name]?.trimEnd().endsWith('?') === true) {
      const message = `${name} may be null by \`schema\`, a key may not: take its "?" away`
      problems.push({ path: ['key', i], message })
    }
  })
  for (const name of Object.keys(typeof epoch === 'object' ? epoch : {})) {
    if (!/time|interval/.test(schema[name] ?? ''))
      add(['epoch', name], 'no column of `schema` that is a time')
  }
  return problems
}

/** Settings with problems make decoders that set everything aside. */
export function debeziumSettings(words: TopicWords): DebeziumSettings {
  const { debezium = {} } = words
  return {
    encoding: words.encoding ?? 'auto',
    unwrapped: words.unwrapped ?? false,
    before: words.before ?? 'key',
    schema: words.schema ?? {},
    key: words.key === undefined || words.key.length === 0 ? null : words.key,
    epoch: words.epoch ?? null,
    tombstones: words.tombstones ?? 'delete',
    decimals: debezium.decimals ?? 'precise',
    placeholder: debezium.placeholder ?? null,
    opField: debezium.op_field ?? '__op',
    deletedField: debezium.deleted_field ?? '__deleted',
  }
}
