import type { Word } from './ddl-words.ts'
import type { TableName } from './table-pattern.ts'

/** A place in the words of one statement. */
export class WordReader {
  readonly words: readonly Word[]
  at: number
  constructor(words: readonly Word[], at = 0) {
    this.words = words
    this.at = at
  }

  /** Passes these words if they are the next ones. */
  take(...upper: readonly string[]): boolean {
    if (!upper.every((word, i) => this.words[this.at + i]?.upper === word)) return false
    this.at += upper.length
    return true
  }

  /** Passes one of these words if it is the next one. */
  takeOne(...upper: readonly string[]): boolean {
    return upper.some((word) => this.take(word))
  }

  /** A name, quoted or not; null when the next word is none. */
  name(): string | null {
    const word = this.words[this.at]
    if (word === undefined || (word.kind !== 'word' && word.kind !== 'name')) return null
    this.at++
    return word.text
  }

  /** `t` or `d.t`. */
  table(database: string): TableName | null {
    const first = this.name()
    if (first === null || !this.take('.')) {
      return first === null ? null : { database, table: first }
    }
    const second = this.name()
    return second === null ? null : { database: first, table: second }
  }

  rest(): readonly Word[] {
    return this.words.slice(this.at)
  }
}
