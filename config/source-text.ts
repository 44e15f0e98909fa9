/**
 * SourceText: the text of one file with its line starts: offsets to line and column, and the code
 * frame that shows a place. Ranges given to `mask` are never shown: a literal password on the line
 * above a mistake must not end up in a build log.
 */
export interface Place {
  readonly line: number
  readonly col: number
}

const frameWidth = 100
const contextLines = 1

export class SourceText {
  readonly file: string
  readonly text: string
  readonly #lineStarts: number[] = [0]
  readonly #masked: { start: number; end: number }[] = []

  constructor(file: string, text: string) {
    this.file = file
    this.text = text
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) {
      this.#lineStarts.push(at + 1)
    }
  }

  /** Characters from `start` up to `end` print as `*` from now on. */
  mask(start: number, end: number): void {
    this.#masked.push({ start, end })
  }

  place(offset: number): Place {
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#lineStarts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, col: offset - this.#lineStarts[low]! + 1 }
  }

  /** The line of `start` and its neighbours, the range underlined as far as it is on that line. */
  frame(start: number, end: number): string {
    const { line, col } = this.place(start)
    const first = Math.max(1, line - contextLines)
    const last = Math.min(this.#lineStarts.length, line + contextLines)
    const gutter = String(last).length
    const shift = Math.max(0, col - 1 - (frameWidth - 20))
    const lines: string[] = []
    for (let number = first; number <= last; number++) {
      const text = this.#line(number)
      if (number !== line && text.trim() === '') continue
      const mark = number === line ? '>' : ' '
      const shown = printable(text.slice(shift, shift + frameWidth))
      lines.push(`${mark} ${String(number).padStart(gutter)} | ${shown}`.trimEnd())
      if (number !== line) continue
      const room = Math.min(text.length - (col - 1), shift + frameWidth - (col - 1))
      const width = Math.max(1, Math.min(end - start, room))
      lines.push(`  ${' '.repeat(gutter)} | ${' '.repeat(col - 1 - shift)}${'^'.repeat(width)}`)
    }
    return lines.join('\n')
  }

  #line(number: number): string {
    const start = this.#lineStarts[number - 1]!
    const next = this.#lineStarts[number]
    const end = next === undefined ? this.text.length : next - 1
    let line = this.text.slice(start, end)
    for (const range of this.#masked) {
      const from = Math.max(0, range.start - start)
      const to = Math.min(line.length, range.end - start)
      if (from < to) line = line.slice(0, from) + '*'.repeat(to - from) + line.slice(to)
    }
    return maskLikely(line)
  }
}

/**
 * Credentials in a URL, and values of keys that are named like secrets, are masked wherever they
 * stand: where the YAML itself is broken, no schema can tell which text is one.
 */
function maskLikely(line: string): string {
  const stars = (_: string, head: string, secret: string): string =>
    /^["']?\$\{[^:}]*\}?["']?$/.test(secret) ? head + secret : head + '*'.repeat(secret.length)
  return line
    .replace(/(:\/\/[^\s:/@]*:)([^\s@/]+)(?=@)/g, stars)
    .replace(
      /((?:secret|passw|token|credential)[\w-]*["']?\s*:\s*)("[^"]*"?|'[^']*'?|[^\s,]+)/gi,
      stars,
    )
}

/** Control characters would move the cursor or recolour the terminal of whoever reads a message. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, ' ')
}
