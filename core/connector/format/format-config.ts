/**
 * How messages are written, as the pipeline file says it, for all sources of messages alike: the zod
 * pieces (spread `plainShape` into a strict object), what can be wrong between them, and the formats
 * that they make. None of the pieces has a default, so that a topic's can be laid over its source's.
 */
import { z } from 'zod'
import { didYouMean } from '../nearest.ts'
import type { Field } from '../../record/schema.ts'
import { CsvFormat } from './csv-format.ts'
import { epochUnits, type EpochUnits } from './epoch.ts'
import type { ExtraColumn, ValueFormat } from './format.ts'
import { JsonFormat } from './json-format.ts'
import { PlainDecoder, type PlaceOf, type TombstonePolicy } from './record-decoder.ts'
import { parseColumnType } from './schema-text.ts'
import { BytesFormat, TextFormat } from './text-format.ts'

/** Formats that need nobody to ask. */
export const plainFormats = ['json', 'csv', 'text', 'bytes'] as const
export type PlainFormat = (typeof plainFormats)[number]
export const plainKeyFormats = ['json', 'text', 'bytes'] as const
export type PlainKeyFormat = (typeof plainKeyFormats)[number]

const columnType = z
  .string({
    error: 'expected a type, such as int64 or text; { } ends a type at its comma, quotes do not',
  })
  .superRefine((text, ctx) => {
    const parsed = parseColumnType(text)
    if ('mistake' in parsed) ctx.addIssue({ code: 'custom', message: parsed.mistake, input: text })
  })

export const schemaColumns = z.record(z.string().min(1), columnType).meta({
  description:
    'Columns and their types: bool, int16, int32, int64, uint64, float32, float64, decimal, decimal(p,s), text, bytes, uuid, json, date, time, timestamp, timestamptz, interval, list<…>. A `?` behind a type: the column may be missing or null. `sluice schema infer` writes it from a sample.',
  examples: [{ id: 'int64', amount: 'decimal(12,2)?', tags: 'list<text>', at: 'timestamptz' }],
})

const columnName = z.string().min(1)
export const keyColumns = z
  .union([z.array(columnName), columnName.transform((name) => [name])])
  .meta({
    description:
      'Columns that name a row: a message with the same key replaces it, and one without value (a tombstone) deletes it. Without a key, messages are only added.',
    examples: [['id'], ['tenant', 'id']],
  })

const epochUnit = z.enum(epochUnits)

const character = z
  .string()
  // oxlint-disable-next-line no-control-regex -- ASCII is what is meant.
  .regex(/^[\x00-\x7f]$/, 'expected one ASCII character')
  .refine((text) => text !== '\n' && text !== '\r', 'a line break ends a record')

const csvShape = z
  .strictObject({
    delimiter: character.optional().meta({
      description: 'Between fields; default: a comma.',
      examples: [';', '\t'],
    }),
    quote: character.optional().meta({
      description:
        'Around fields that contain delimiters, quotes (doubled) or line breaks; default: ".',
    }),
    header: z.boolean().optional().meta({
      description:
        'true: the first line names the columns, in any order, and names that are no column are passed over. Default: false; fields come in the order of `schema`.',
    }),
    null: z
      .string()
      .optional()
      .meta({
        description: 'A field without quotes that reads so is null; default: an empty field.',
        examples: ['\\N', 'NULL'],
      }),
  })
  .meta({ description: 'How the CSV of `format: csv` is written.' })

/** All but `format` itself, of which sources may have more kinds. */
export const plainShape = {
  schema: schemaColumns.optional(),
  key: keyColumns.optional(),
  epoch: z
    .union([epochUnit, z.record(columnName, epochUnit)])
    .optional()
    .meta({
      description:
        'What a number in a timestamp or timestamptz column counts since 1970: s, ms, us or ns; for all such columns, or for each by name. Without it only ISO 8601 texts are taken.',
      examples: ['ms', { created: 's', updated: 'ms' }],
    }),
  csv: csvShape.optional(),
  tombstones: z.enum(['delete', 'ignore']).optional().meta({
    description:
      'Messages without value. delete (default): the row of their key goes; in a topic without key they are set aside as dead letters. ignore: they are passed over.',
  }),
}

/** What `plainShape` gives, with `format`. */
export interface PlainSettings {
  readonly format: PlainFormat
  readonly schema?: Readonly<Record<string, string>> | undefined
  readonly key?: readonly string[] | undefined
  /** How the message's own key is written; absent: it is not looked at. */
  readonly keyFormat?: PlainKeyFormat | undefined
  readonly epoch?: EpochUnits | undefined
  readonly csv?: z.output<typeof csvShape> | undefined
  readonly tombstones?: TombstonePolicy | undefined
}

/** Under the key of `plainShape` (`key_format` where a source has that). */
export interface SettingProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** What is wrong between the settings; each by itself was checked. */
export function plainProblems(settings: PlainSettings): readonly SettingProblem[] {
  const { format, schema = {}, key = [], keyFormat, epoch, csv } = settings
  const problems: SettingProblem[] = []
  const add = (path: readonly (string | number)[], message: string): void => {
    problems.push({ path, message })
  }
  const names = Object.keys(schema)
  const own = names.filter((name) => keyFormat === undefined || !key.includes(name))
  const whole = format === 'text' || format === 'bytes'
  if (!whole && names.length === 0) {
    add(
      ['schema'],
      `format: ${format} needs the columns and their types; sluice schema infer proposes some`,
    )
  }
  if (whole && own.length > 1) {
    add(['schema', own[1]!], `format: ${format} has one column, which is ${own[0]!}`)
  }
  if (format === 'bytes' && own.length === 1 && !/^\s*bytes\b/.test(schema[own[0]!]!)) {
    add(['schema', own[0]!], 'format: bytes makes a column of bytes')
  }
  for (const [place, name] of key.entries()) problems.push(...keyProblems(settings, name, place))
  if (keyFormat !== undefined && key.length === 0) {
    add(['key_format'], 'there are no columns to read from the message’s key: say which in `key`')
  } else if (keyFormat !== undefined && keyFormat !== 'json' && key.length !== 1) {
    add(['key_format'], `key_format: ${keyFormat} is for one key column; \`key\` has ${key.length}`)
  }
  if (typeof epoch === 'object') {
    for (const name of Object.keys(epoch)) {
      if (!/timestamp/.test(schema[name] ?? '')) {
        add(['epoch', name], `no timestamp column ${hint(name, names)}`.trimEnd())
      }
    }
  }
  if (csv !== undefined && format !== 'csv')
    add(['csv'], `is for format: csv, and this is ${format}`)
  if ((csv?.delimiter ?? ',') === (csv?.quote ?? '"')) {
    add(['csv', 'quote'], 'is the same as the delimiter')
  }
  return problems
}

function keyProblems(
  { format, schema = {}, key = [], keyFormat }: PlainSettings,
  name: string,
  place: number,
): readonly SettingProblem[] {
  const path = ['key', place]
  if (key.indexOf(name) < place) return [{ path, message: `${name} is there twice` }]
  const text = schema[name]
  if (text === undefined) {
    // The one column of a text or bytes message needs no schema.
    const isWhole = (format === 'text' || format === 'bytes') && name === wholeColumn
    if (isWhole && Object.keys(schema).length === 0) return []
    return [{ path, message: `\`schema\` has no column ${hint(name, Object.keys(schema))}` }]
  }
  if (text.trimEnd().endsWith('?')) {
    return [
      { path, message: `${name} may be null by \`schema\`, a key may not: take its "?" away` },
    ]
  }
  if (keyFormat === 'bytes' && !/^\s*bytes\s*$/.test(text)) {
    return [{ path, message: `key_format: bytes needs ${name} to be bytes in \`schema\`` }]
  }
  return []
}

function hint(name: string, names: readonly string[]): string {
  const found = didYouMean(name, names)
  return found === null ? name : `${name}; ${found}`
}

/** What the one column of a text or bytes message is called where nothing else is said. */
export const wholeColumn = 'value'

/** The columns of `schema`; those of a mistake, which `plainShape` does not let through, are left out. */
export function schemaFields(schema: Readonly<Record<string, string>>): readonly Field[] {
  return Object.entries(schema).flatMap(([name, text]): readonly Field[] => {
    const parsed = parseColumnType(text)
    return 'mistake' in parsed ? [] : [{ name, ...parsed }]
  })
}

/** Reads the values. Settings with problems make formats that fit nothing. */
export function valueFormat(settings: PlainSettings): ValueFormat {
  const { format, schema = {}, key = [], keyFormat, epoch = null, csv = {} } = settings
  const fields = schemaFields(schema)
  const ofKey = (field: Field): boolean => keyFormat !== undefined && key.includes(field.name)
  // What the value does not have, the message's key may.
  const open = fields.map((field) => (ofKey(field) ? { ...field, nullable: true } : field))
  switch (format) {
    case 'json':
      return new JsonFormat(open, { epoch })
    case 'csv':
      return new CsvFormat(open, {
        delimiter: (csv.delimiter ?? ',').charCodeAt(0),
        quote: (csv.quote ?? '"').charCodeAt(0),
        header: csv.header ?? false,
        nullText: csv.null ?? '',
        epoch,
      })
    case 'text': {
      const field = fields.find((field) => !ofKey(field))
      return new TextFormat(
        field ?? { name: wholeColumn, type: { kind: 'text' }, nullable: false },
        epoch,
      )
    }
    case 'bytes':
      return new BytesFormat(fields.find((field) => !ofKey(field))?.name ?? wholeColumn)
  }
}

/** Reads the messages' own keys; null where they are not looked at. */
export function keyFormat(settings: PlainSettings): ValueFormat | null {
  const { schema = {}, key = [], keyFormat: format, epoch = null } = settings
  if (format === undefined) return null
  const all = schemaFields(schema)
  const fields = key.flatMap((name) => all.filter((field) => field.name === name))
  if (format === 'json') return new JsonFormat(fields, { epoch, bare: true })
  const field = fields[0] ?? { name: 'key', type: { kind: 'text' }, nullable: false }
  return format === 'text' ? new TextFormat(field, epoch) : new BytesFormat(field.name)
}

/** Makes rows of the messages of one topic; `extra`: columns beside those of the settings. */
export function plainDecoder(
  topic: string,
  settings: PlainSettings,
  extra: readonly ExtraColumn[],
  placeOf?: PlaceOf,
): PlainDecoder {
  return new PlainDecoder({
    topic,
    value: valueFormat(settings),
    key: keyFormat(settings),
    keyColumns: settings.key ?? [],
    extra,
    tombstones: settings.tombstones ?? 'delete',
    ...(placeOf !== undefined && { placeOf }),
  })
}
