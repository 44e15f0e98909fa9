/** What is wrong between the settings of a topic that is polled; each by itself was checked. */
import { Cron } from 'croner'
import {
  plainProblems,
  schemaFields,
  type PlainSettings,
  type SettingProblem,
} from '../../core/connector/format/format-config.ts'
import type { LogicalType } from '../../core/record/types.ts'
import type { PollTopicConfig } from './poll-config.ts'
import { fillEncoded, templateMistake, templateUses, type TemplateName } from './poll-template.ts'
import { orderOf } from './since.ts'

type Config = PollTopicConfig

/** As the formats that all sources of messages share know them. */
export function plainSettings(config: Config): PlainSettings {
  const { format, schema, key, epoch, csv } = config
  return { format: format === 'ndjson' ? 'json' : format, schema, key, epoch, csv }
}

export function pollProblems(config: Config): readonly SettingProblem[] {
  return [
    ...formatProblems(config),
    ...requestProblems(config),
    ...timeProblems(config),
    ...pagingProblems(config),
    ...sinceProblems(config),
    ...changeProblems(config),
  ]
}

function problem(message: string, ...path: (string | number)[]): SettingProblem {
  return { path, message }
}

function formatProblems(config: Config): readonly SettingProblem[] {
  const { columns, schema } = config
  const key = config.key?.filter((name) => !Object.hasOwn(columns, name))
  const found = plainProblems({ ...plainSettings(config), key })
  // `sluice schema infer` needs a file that can be read before there is a schema: it is missed later.
  const given = schema === undefined ? [] : found
  if (config.format !== 'json' && config.records !== '$') {
    return [...given, problem('a path leads into an answer that is one JSON', 'records')]
  }
  if (config.stream !== undefined && config.format === 'csv') {
    return [...given, problem('a stream is of JSON', 'format')]
  }
  if (config.stream !== undefined && config.records !== '$') {
    return [...given, problem('each event or line of a stream is a record', 'records')]
  }
  return given
}

function requestProblems(config: Config): readonly SettingProblem[] {
  const found: SettingProblem[] = []
  const url = config.url.reveal()
  if (!/^https?:\/\/[^/?#{}@]+(?:[/?]|$)/i.test(url)) {
    found.push(
      problem(
        'expected https:// or http:// and a host without values in it; users and passwords stand in `auth`',
        'url',
      ),
    )
  } else if (!URL.canParse(fillEncoded(url, {}))) found.push(problem('is no address', 'url'))
  const texts: [text: string, ...path: string[]][] = [[url, 'url']]
  if (config.body !== undefined) texts.push([config.body, 'body'])
  for (const [name, value] of Object.entries(config.headers)) {
    texts.push([value.reveal(), 'headers', name])
    // oxlint-disable-next-line no-control-regex -- control characters are what is meant.
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value.reveal())) {
      found.push(problem('has a line break or another control character', 'headers', name))
    }
  }
  for (const [text, ...path] of texts) {
    const mistake = templateMistake(text)
    if (mistake !== null) found.push(problem(mistake, ...path))
  }
  if (config.body !== undefined && config.method === 'GET') {
    found.push(problem('a body needs `method: POST`', 'body'))
  }
  if ((config.cert === undefined) !== (config.cert_key === undefined)) {
    found.push(problem('`cert` and `cert_key` stand together', 'cert'))
  }
  return found
}

function timeProblems({
  every,
  cron,
  timezone,
  stream,
  events,
  columns,
}: Config): readonly SettingProblem[] {
  const found: SettingProblem[] = []
  const given = [every, cron, stream].filter((one) => one !== undefined).length
  if (given === 0) found.push(problem('say when: `every`, `cron` or `stream`'))
  if (given > 1) found.push(problem('only one of `every`, `cron` and `stream`'))
  if (cron !== undefined) {
    const zone = thrownBy(() => new Intl.DateTimeFormat('en', { timeZone: timezone }))
    if (zone !== null) found.push(problem(`${timezone} is no time zone`, 'timezone'))
    const pattern = thrownBy(() => new Cron(cron, { paused: true }).nextRun())
    if (pattern !== null) found.push(problem(pattern, 'cron'))
  }
  if (events !== undefined && stream !== 'sse')
    found.push(problem('is for `stream: sse`', 'events'))
  for (const [name, what] of Object.entries(columns)) {
    if (what.startsWith('event') && stream !== 'sse') {
      found.push(problem('is for `stream: sse`', 'columns', name))
    }
  }
  return found
}

function thrownBy(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Whether a value is asked for: by a parameter or in a template. */
function isAsked(config: Config, name: TemplateName, parameter: string | undefined): boolean {
  if (parameter !== undefined) return true
  const texts = [config.url, ...Object.values(config.headers)].map((text) => text.reveal())
  return [...texts, config.body ?? ''].some((text) => templateUses(text, name))
}

function pagingProblems(config: Config): readonly SettingProblem[] {
  const { pagination, stream, format } = config
  if (pagination === undefined) return []
  const found: SettingProblem[] = []
  if (stream !== undefined) found.push(problem('a stream has no pages', 'pagination'))
  const { type } = pagination
  const reads = 'next' in pagination || ('more' in pagination && pagination.more !== undefined)
  if (reads && format !== 'json') {
    found.push(problem('a path leads into an answer that is one JSON', 'pagination', 'next'))
  }
  if (type === 'cursor' || type === 'page' || type === 'offset') {
    if (!isAsked(config, type, pagination.parameter)) {
      found.push(
        problem(
          `say where it goes: \`parameter\`, or {{ ${type} }} in the url or body`,
          'pagination',
        ),
      )
    }
  }
  if (
    'size_parameter' in pagination &&
    pagination.size_parameter !== undefined &&
    pagination.size === undefined
  ) {
    found.push(problem('needs `size`', 'pagination', 'size_parameter'))
  }
  return found
}

function sinceProblems(config: Config): readonly SettingProblem[] {
  const { since, schema } = config
  if (since === undefined || schema === undefined) return []
  const { field, start, overlap } = since
  const type = schemaFields(schema).find(({ name }) => name === field)?.type
  if (type === undefined) return [problem(`\`schema\` has no column ${field}`, 'since', 'field')]
  const order = orderOf(type)
  if (order === null) {
    return [
      problem(`${field} is ${type.kind}: expected a time, an integer or a text`, 'since', 'field'),
    ]
  }
  const found: SettingProblem[] = []
  if (!isAsked(config, 'since', since.parameter)) {
    found.push(
      problem('say where it goes: `parameter`, or {{ since }} in the url or body', 'since'),
    )
  }
  if (start !== undefined && order.parse(start) === null) {
    found.push(problem(`is no ${type.kind}`, 'since', 'start'))
  }
  if (overlap !== undefined) {
    const wants = !order.overlaps ? null : order.isTime ? 'object' : 'number'
    if (wants === null) found.push(problem('is for times and integers', 'since', 'overlap'))
    else if (typeof overlap !== wants) {
      const expected = order.isTime ? 'a duration, such as 5m' : 'a number'
      found.push(problem(`${field} is ${type.kind}: expected ${expected}`, 'since', 'overlap'))
    }
  }
  return [...found, ...epochProblem(since.format, type)]
}

function epochProblem(format: string, type: LogicalType): readonly SettingProblem[] {
  const isTime = type.kind === 'timestamp' || type.kind === 'timestamptz'
  if (isTime || format === 'iso') return []
  return [problem(`is for timestamps, and the field is ${type.kind}`, 'since', 'format')]
}

function changeProblems(config: Config): readonly SettingProblem[] {
  const { deletes, key = [], since, stream } = config
  if (deletes === 'none') return []
  const found: SettingProblem[] = []
  if (key.length === 0) found.push(problem('needs `key`, which says what a row is', 'deletes'))
  if (since !== undefined) {
    found.push(
      problem('what is not new is in no listing: either `since` or full listings', 'deletes'),
    )
  }
  if (stream !== undefined) found.push(problem('a stream lists nothing', 'deletes'))
  return found
}
