/**
 * Which tables the configuration means, by name: those named, and of whole databases all but what
 * online schema changes make beside their tables.
 */
import type { ServerInfo } from '../server-info.ts'
import { topicName } from './catalog.ts'
import { isGhost } from './ghost-tables.ts'
import { matchesPattern, type TableName, type TablePattern } from './table-pattern.ts'

export class Followed {
  readonly patterns: readonly TablePattern[]
  /** The server takes names without regard to case. */
  readonly foldCase: boolean
  readonly #lowerCase: boolean

  constructor(
    patterns: readonly TablePattern[],
    { foldCase, lowerCase }: Pick<ServerInfo, 'foldCase' | 'lowerCase'>,
  ) {
    this.patterns = patterns
    this.foldCase = foldCase
    this.#lowerCase = lowerCase
  }

  /** The topic of a table that a statement names: the catalog and table maps have the server's own spelling. */
  topicOf(name: TableName): string {
    const topic = topicName(name)
    return this.#lowerCase ? topic.toLowerCase() : topic
  }

  has(name: TableName): boolean {
    return this.patterns.some(
      (pattern) =>
        matchesPattern(pattern, name, this.foldCase) &&
        (pattern.table !== null || !isGhost(name.table)),
    )
  }

  /** Which table a topic is of; null when none of those followed has that topic. */
  nameOf(topic: string): TableName | null {
    for (const { database } of this.patterns) {
      // A name may hold dots: the pattern says where the database ends.
      if (!this.fold(topic).startsWith(this.fold(`${database}.`))) continue
      const name = {
        database: topic.slice(0, database.length),
        table: topic.slice(database.length + 1),
      }
      if (this.has(name)) return name
    }
    return null
  }

  /** Names that are equal to the server have equal texts. */
  fold(name: string): string {
    return this.foldCase ? name.toLowerCase() : name
  }

  isSame(name: TableName, topic: string): boolean {
    return this.fold(topicName(name)) === this.fold(topic)
  }
}
