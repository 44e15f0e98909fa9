/**
 * Logs: structured, one line an event, through pino. `plain` is for people (time, level, name,
 * message, fields), `json` for collectors. Secrets are redacted by type: a `Secret` prints as `***`
 * whoever logs it, and credentials inside URLs are masked on the way out.
 */
import pino from 'pino'
import { oneLine } from './format.ts'

/** The shape of the connector contract's Logger, which this folder does not import. */
export interface PinoLogger {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}
type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFormat = 'plain' | 'json'

export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Takes one line without its line break; must not throw. */
  readonly write: (line: string) => void
}

/** `name` says who speaks: a task, or the part of the program. */
export function createLogger(options: LoggerOptions, name: string): PinoLogger {
  const { write, format } = options
  const stream = {
    write: (line: string): void => write(format === 'json' ? line.trimEnd() : plainLine(line)),
  }
  const logger = pino(
    {
      level: options.level,
      base: { name },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
  const at =
    (level: LogLevel) =>
    (message: string, fields: Fields = {}): void => {
      if (logger.isLevelEnabled(level)) logger[level](maskFields(fields), maskUrls(message))
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** `2026-11-22T04:00:00.000Z  info  shop  committed rows  rows=120 seq=7` */
function plainLine(line: string): string {
  const { time, level, name, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const words = [String(time), String(level).padEnd(5), String(name), oneLine(String(msg))]
  for (const [key, value] of Object.entries(fields)) words.push(`${key}=${plainValue(value)}`)
  return words.join('  ')
}

function plainValue(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  // Quoted when a reader could not tell where it ends, or when it would break the line.
  return /^[!#-<>-~\u00a1-\uffff]+$/.test(value) ? value : JSON.stringify(value)
}

function maskFields(fields: Fields): Fields {
  const masked: Record<string, Fields[string]> = {}
  for (const [key, value] of Object.entries(fields)) {
    masked[key] = typeof value === 'string' ? maskUrls(value) : value
  }
  return masked
}

/** The password of `scheme://user:password@host` as `***`, wherever it stands in the text. */
export function maskUrls(text: string): string {
  return text.includes('://') ? text.replace(/(:\/\/[^\s:/@]*:)[^\s@/]+(?=@)/g, '$1***') : text
}
