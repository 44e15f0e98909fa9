/**
 * A statement of the binlog as words: what DDL is read from. Strings and quoted names are one word
 * each, comments are gone, what stands in a version comment is part of the statement.
 *
 *   statement = ( word | name | text | sign | comment )*
 *   word      = one or more of A–Z a–z 0–9 _ $ and everything from U+0080 on
 *   name      = '`' ( any | '``' )* '`'          with ANSI_QUOTES also '"' ( any | '""' )* '"'
 *   text      = "'" ( any | "''" | '\' any )* "'"    without ANSI_QUOTES also '"' … '"';
 *               with NO_BACKSLASH_ESCAPES a backslash is a character as any other
 *   comment   = '-- ' … line end | '#' … line end | '/' '*' … '*' '/'
 *             | '/' '*!' digits? statement '*' '/'    (also with M! for MariaDB: read, not left out)
 *   sign      = any other character
 *
 * MySQL 9.x reference manual, Lexical Structure; MariaDB, Comment Syntax.
 */

export interface Word {
  readonly kind: 'word' | 'name' | 'text' | 'sign'
  /** A name or text without its quotes and escapes. */
  readonly text: string
  /** Upper case, for words that are no names and no texts; else ''. */
  readonly upper: string
}

/** Bits of sql_mode (MySQL sql/query_options.h, MariaDB sql/sql_class.h). */
const ansiQuotes = 0x4n
const noBackslashEscapes = 0x100000n

const wordText = /[0-9A-Za-z_$\u0080-\uffff]+/y
const spaceText = /[\s\0]+/y

/** null where the text ends within a quote or a comment: then nothing of it is sure. */
export function readWords(sql: string, sqlMode: bigint | null): readonly Word[] | null {
  const mode = sqlMode ?? 0n
  const namesInDoubleQuotes = (mode & ansiQuotes) !== 0n
  const escapes = (mode & noBackslashEscapes) === 0n
  const words: Word[] = []
  let at = 0
  let versionComments = 0
  while (at < sql.length) {
    const space = match(spaceText, sql, at)
    if (space > at) {
      at = space
      continue
    }
    const comment = commentEnd(sql, at)
    if (comment === -1) return null
    if (comment > at) {
      // Only what opens a version comment ends before the comment does.
      if (isVersionComment(sql, at)) versionComments++
      at = comment
      continue
    }
    if (versionComments > 0 && sql.startsWith('*/', at)) {
      versionComments--
      at += 2
      continue
    }
    const word = match(wordText, sql, at)
    if (word > at) {
      const text = sql.slice(at, word)
      words.push({ kind: 'word', text, upper: text.toUpperCase() })
      at = word
      continue
    }
    const quote = sql[at]!
    if (quote === '`' || quote === "'" || quote === '"') {
      const isName = quote === '`' || (quote === '"' && namesInDoubleQuotes)
      const read = quoted(sql, at, !isName && escapes)
      if (read === null) return null
      words.push({ kind: isName ? 'name' : 'text', text: read.text, upper: '' })
      at = read.end
      continue
    }
    words.push({ kind: 'sign', text: quote, upper: quote })
    at++
  }
  return versionComments === 0 ? words : null
}

function match(pattern: RegExp, sql: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(sql) ? pattern.lastIndex : at
}

const versionCommentText = /\/\*M?!\d*/y

function isVersionComment(sql: string, at: number): boolean {
  return match(versionCommentText, sql, at) > at
}

/** The place after the comment that begins at `at`, `at` itself when none does, −1 when it has no end. */
function commentEnd(sql: string, at: number): number {
  const version = match(versionCommentText, sql, at)
  if (version > at) return version
  if (sql.startsWith('/*', at)) {
    const end = sql.indexOf('*/', at + 2)
    return end === -1 ? -1 : end + 2
  }
  // Two dashes without white space behind them are two minus signs.
  const isLine = sql[at] === '#' || /^--(?:[\s\0]|$)/.test(sql.slice(at, at + 3))
  if (!isLine) return at
  const end = sql.indexOf('\n', at)
  return end === -1 ? sql.length : end + 1
}

const escaped: Readonly<Record<string, string>> = {
  '0': '\0',
  b: '\b',
  n: '\n',
  r: '\r',
  t: '\t',
  Z: '\x1a',
}

function quoted(
  sql: string,
  start: number,
  escapes: boolean,
): { readonly text: string; readonly end: number } | null {
  const quote = sql[start]!
  let text = ''
  for (let at = start + 1; at < sql.length; at++) {
    const char = sql[at]!
    if (char === '\\' && escapes) {
      const next = sql[++at]
      if (next === undefined) return null
      text += escaped[next] ?? next
    } else if (char !== quote) text += char
    else if (sql[at + 1] === quote) {
      text += quote
      at++
    } else return { text, end: at + 1 }
  }
  return null
}
