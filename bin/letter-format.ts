/** Dead letters and requests as `sluice dlq` prints them. */
import { isoTimestamp } from '../core/record/json.ts'
import { oneLine } from '../core/observe/format.ts'
import { keptRow, type LetterEntry } from '../core/task/dead-letter-entry.ts'
import { parseJson } from '../core/task/value-edit.ts'
import type { ListedLetter } from '../core/task/letter-list.ts'
import { nameOf } from './letter-filter.ts'
import { paintFor, print } from './output.ts'

export type LetterFormat = 'table' | 'json' | 'jsonl'

/**
 *   {"letter":"warehouse:12","state":"open","topic":…,"offset":…,"code":…,"message":…,"attempts":…,
 *    "first_at":…,"at":…,"op":…,"weight":…,"time":…,"request":…,"due_at":…,"key":{…},"row":{…}}
 */
export function letterJson(letter: ListedLetter): string {
  const { entry } = letter
  const head = JSON.stringify({
    letter: nameOf(letter),
    state: entry.state,
    topic: entry.topic,
    offset: entry.offset,
    code: entry.code,
    message: entry.message,
    attempts: entry.attempts,
    first_at: time(entry.firstUs),
    at: time(entry.atUs),
    op: entry.op,
    weight: entry.weight,
    time: entry.timeUs === null ? null : time(entry.timeUs),
    request: entry.request,
    due_at: entry.waits === null ? null : time(entry.waits.dueUs),
  })
  // Both are JSON already, with digits that a number of JavaScript's would lose.
  return `${head.slice(0, -1)},"key":${entry.key ?? 'null'},"row":${entry.row ?? 'null'}}`
}

export function printItems(format: LetterFormat, items: readonly string[]): void {
  if (format === 'jsonl') for (const item of items) print(item)
  else print(items.length === 0 ? '[]' : `[${items.join('\n,')}\n]`)
}

export function printLetters(letters: readonly ListedLetter[], format: LetterFormat): void {
  if (format !== 'table') return printItems(format, letters.map(letterJson))
  printTable(
    ['letter', 'topic', 'offset', 'code', 'tries', 'last', 'key', 'message'],
    letters.map((letter) => {
      const { entry } = letter
      const state = entry.state === 'open' ? '' : ` (${entry.state})`
      return [
        nameOf(letter) + state,
        entry.topic,
        entry.offset === null ? '' : String(entry.offset),
        entry.code,
        String(entry.attempts),
        time(entry.atUs),
        entry.key ?? '',
        entry.message,
      ]
    }),
  )
}

/** One letter with its row, column by column, and its story. */
export function printLetter(letter: ListedLetter, story: readonly LetterEntry[]): void {
  const { entry } = letter
  const paint = paintFor(process.stdout)
  print(paint.bold(nameOf(letter)))
  const lines: readonly (readonly [string, string])[] = [
    ['state', entry.waits === null ? entry.state : `waiting until ${time(entry.waits.dueUs)}`],
    ['topic', entry.offset === null ? entry.topic : `${entry.topic}, offset ${entry.offset}`],
    ['code', entry.code],
    ['message', entry.message],
    ['attempts', String(entry.attempts)],
    ['first', time(entry.firstUs)],
    ['last', time(entry.atUs)],
    ['change', changeOf(entry)],
    ['key', entry.key ?? 'none'],
  ]
  for (const [name, value] of lines) print(`  ${name.padEnd(9)} ${oneLine(value)}`)
  print(`  row       ${entry.row === null ? 'not to be had as JSON' : ''}`.trimEnd())
  for (const [name, value] of rowOf(letter)) print(`    ${name} = ${shown(value)}`)
  if (story.length < 2) return
  print('  story')
  for (const { atUs, state, code, request } of story) {
    const why = state === 'open' ? `refused: ${code}` : state
    const by = request === 'waited' ? 'by itself' : request
    print(`    ${time(atUs)}  ${why}${by === null ? '' : ` (${by})`}`)
  }
}

function changeOf({ op, weight, timeUs }: LetterEntry): string {
  if (op === null || timeUs === null) return 'not known'
  return `${op}${(weight ?? 1) < 0 ? ' (old row)' : ''}, committed at the source ${time(timeUs)}`
}

/** Of a value that fills screens, its beginning: a message may be as large as an answer. */
function shown(value: string): string {
  if (value.length <= valueMax) return value
  return `${value.slice(0, valueMax)}… (${value.length} characters; --format json has them all)`
}

/** Each value with its exact JSON, by column; messages of a source that are text as that. */
function rowOf(letter: ListedLetter): readonly (readonly [string, string])[] {
  const { entry, task } = letter
  if (entry.row === null) return []
  const row = parseJson(entry.row)
  const kept = task.kind === 'ingest' ? keptRow(letter.batch, letter.row) : null
  const bytes = new Set(
    kept?.schema.fields.filter(({ type }) => type.kind === 'bytes').map(({ name }) => name),
  )
  return Object.entries(row as object).map(([name, value]) => {
    const text = bytes.has(name) && typeof value === 'string' ? messageText(value) : null
    return [oneLine(name), oneLine(text ?? JSON.stringify(value))]
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** A message, which letters hold in base64, as somebody wrote it; null: not text, or nothing to be seen of it. */
function messageText(base64: string): string | null {
  try {
    const text = utf8.decode(Buffer.from(base64, 'base64'))
    return text.trim() === '' || /[^\P{Cc}\t\n\r]/u.test(text) ? null : text
  } catch {
    return null
  }
}

const cellWidthMax = 48
const valueMax = 4096

/**
 * Columns as wide as what is in them, at most `cellWidthMax` but for those of `whole`; the last one is
 * cut at the terminal's edge, or not at all in a pipe. Nothing without rows.
 */
export function printTable(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  whole: readonly string[] = [],
): void {
  if (rows.length === 0) return
  const cells = rows.map((row) =>
    row.map((text, i) => {
      const isWhole = i + 1 === heads.length || whole.includes(heads[i]!)
      return cut(oneLine(text), isWhole ? Infinity : cellWidthMax)
    }),
  )
  const widths = heads.map((head, i) =>
    // Nothing is behind the last one.
    i + 1 === heads.length ? 0 : Math.max(head.length, ...cells.map((row) => row[i]!.length)),
  )
  const wide = process.stdout.isTTY ? process.stdout.columns || 80 : Infinity
  const line = (texts: readonly string[]): void =>
    print(
      cut(
        texts
          .map((text, i) => text.padEnd(widths[i]!))
          .join('  ')
          .trimEnd(),
        wide,
      ),
    )
  line(heads)
  for (const row of cells) line(row)
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`
}

export function time(us: number): string {
  return isoTimestamp(us, 'Z').replace(/\.0+Z$/, 'Z')
}
