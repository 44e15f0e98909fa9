/**
 * Answers that are something else than `format` says, as far as their first bytes tell: a page for people where
 * an API was asked (a login, maintenance), an array where lines were expected. To read those as records would
 * make a dead letter of each line.
 */
import { byteOrderMark } from '../../core/connector/format/csv-scan.ts'
import { skipBlanks } from '../../core/connector/format/json-scan.ts'
import { SluiceError } from '../../core/errors/error.ts'

export interface OtherKind {
  /** Completes "an answer cannot be used: ". */
  readonly message: string
  readonly remedy: string
}

const angle = 0x3c
const bracket = 0x5b
const brace = 0x7b

/** The error of an answer that is no records; `what` says why. */
export function unusable(topic: string, what: string, remedy: string | null = null): SluiceError {
  return new SluiceError('http.poll.answer', {
    message: `poll.${topic}: an answer cannot be used: ${what}`,
    ...(remedy !== null && { remedy }),
  })
}

/** null: it may well be what `format` says. `stream`: lines that keep coming. `type`: its Content-Type. */
export function otherKind(
  format: 'json' | 'ndjson' | 'csv' | 'stream',
  body: Buffer,
  type: string,
): OtherKind | null {
  const first = body[firstOf(body)]
  if (first === angle && (format !== 'csv' || /html|xml/i.test(type))) {
    return {
      message: `it is a page or XML${said(type)}, no ${names[format]}`,
      remedy:
        'It is asked again. A page where data was expected mostly wants somebody to log in, or says that the server is being worked on: if it stays so, correct `url` or `auth`.',
    }
  }
  if ((format === 'ndjson' || format === 'stream') && first === bracket) {
    const cure = format === 'stream' ? 'ask with `every` instead of `stream`' : 'say `format: json`'
    return {
      message: 'it is one JSON array, no lines of JSON',
      remedy: `It is asked again. If the server always answers so, ${cure}.`,
    }
  }
  if (format === 'csv' && (first === bracket || first === brace) && /json/i.test(type)) {
    return {
      message: `it is JSON${said(type)}, no CSV`,
      remedy:
        'It is asked again. If the server always answers so, say `format: json`, or ask for CSV in the header `accept`.',
    }
  }
  return null
}

/** Of an answer that is not one JSON: what to do where it is lines of JSON; null where it is not. */
export function linesRemedy(body: Buffer): string | null {
  const start = firstOf(body)
  const end = body.indexOf(0x0a, start)
  if (end < 0 || body[skipBlanks(body, end, body.length)] !== body[start]) return null
  try {
    JSON.parse(body.toString('utf8', start, end))
  } catch {
    return null
  }
  return 'The answer is lines with a JSON each: say `format: ndjson`.'
}

const names = {
  json: 'JSON',
  ndjson: 'lines of JSON',
  csv: 'CSV',
  stream: 'lines of JSON',
} as const

function firstOf(body: Buffer): number {
  return skipBlanks(body, byteOrderMark(body, 0, body.length), body.length)
}

function said(type: string): string {
  return type === '' ? '' : ` (${type.slice(0, 80)})`
}
