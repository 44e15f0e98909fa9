/**
 * From page to page: what a page asks for, and where its answer leads. One run is a bounded number of
 * pages, and never the same one twice: a server that does not know the parameter would answer its first
 * page for ever.
 */
import { hash } from 'node:crypto'
import { SluiceError } from '../../core/errors/error.ts'
import { findSaid, findText, JsonFinder, parseJsonPath } from './json-path.ts'
import { nextLink } from './link-header.ts'
import type { PaginationConfig } from './poll-paging-config.ts'
import type { PageState } from './poll-state.ts'

/** It is in every position. */
const placeLengthMax = 32_768

/** What an answer says about where to go on. */
export interface PageAnswer {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
  readonly url: URL
  readonly records: number
}

export class PollPages {
  readonly #name: string
  readonly #config: PaginationConfig | undefined
  readonly #pagesMax: number
  readonly #next: JsonFinder | null
  readonly #more: JsonFinder | null
  /** Of this run: where pages led to, hashed; and what the page before was. */
  readonly #places = new Set<string>()
  #before = ''

  /** `name`: of the topic, for messages. */
  constructor(name: string, config: PaginationConfig | undefined, pagesMax: number) {
    this.#name = name
    this.#config = config
    this.#pagesMax = pagesMax
    this.#next = finderOf(config !== undefined && 'next' in config ? config.next : undefined)
    this.#more = finderOf(config !== undefined && 'more' in config ? config.more : undefined)
  }

  /** Forgets the pages of the run before. */
  begin(): PageState {
    this.#places.clear()
    this.#before = ''
    const config = this.#config
    if (config?.type === 'page') return { taken: 0, page: config.first }
    return config?.type === 'offset' ? { taken: 0, offset: 0 } : { taken: 0 }
  }

  /** Parameters of the query that name the page. */
  parameters(page: PageState): Readonly<Record<string, string | null>> {
    const config = this.#config
    if (config === undefined || !('parameter' in config)) return {}
    const found: Record<string, string | null> = {}
    if (config.parameter !== undefined) found[config.parameter] = placeOf(page)
    if (config.type !== 'cursor' && config.size_parameter !== undefined) {
      found[config.size_parameter] = String(config.size)
    }
    return found
  }

  get size(): string | null {
    const config = this.#config
    return config !== undefined && 'size' in config && config.size !== undefined
      ? String(config.size)
      : null
  }

  /** The page behind this one; null = it was the last. Throws `http.poll.loop`, `http.poll.too_many_pages`. */
  after(page: PageState, answer: PageAnswer): PageState | null {
    const next = this.#nextOf(page, answer)
    if (next === null) return null
    if (next.taken >= this.#pagesMax) {
      const message = `${this.#name}: the run has more than ${this.#pagesMax} pages`
      throw new SluiceError('http.poll.too_many_pages', { message })
    }
    if ((next.cursor ?? next.url ?? '').length > placeLengthMax) {
      const message = `${this.#name}: the place of the next page has more than ${placeLengthMax} characters`
      throw new SluiceError('http.poll.answer', { message })
    }
    // The place that this page itself has counts too, where a run goes on in its middle.
    this.#places.add(placeHash(placeOf(page)))
    if (this.#places.has(placeHash(placeOf(next)))) {
      const message = `${this.#name}: page ${next.taken} leads back to a page of the same run`
      throw new SluiceError('http.poll.loop', { message })
    }
    this.#sameAgain(next, answer)
    return next
  }

  /**
   * Whether an answer that leads to no other page says so itself: what would lead on is there, and empty. Else it
   * may be that `next` looks for it in the wrong place.
   */
  saysLast({ body, headers }: Pick<PageAnswer, 'body' | 'headers'>): boolean {
    if (this.#config?.type === 'link') return headers['link'] !== undefined
    return [this.#more, this.#next].some(
      (finder) => finder !== null && findSaid(finder, body) === '',
    )
  }

  #nextOf(page: PageState, answer: PageAnswer): PageState | null {
    const config = this.#config
    if (config === undefined) return null
    const taken = page.taken + 1
    if (this.#more !== null && findText(this.#more, answer.body) === null) return null
    switch (config.type) {
      case 'cursor': {
        const cursor = findText(this.#next!, answer.body)
        return cursor === null ? null : { taken, cursor }
      }
      case 'next_url': {
        const next = findText(this.#next!, answer.body)
        return next === null ? null : { taken, url: this.#resolved(next, answer.url) }
      }
      case 'link': {
        const next = nextLink(answer.headers['link'] ?? '')
        return next === null ? null : { taken, url: this.#resolved(next, answer.url) }
      }
      case 'page':
      case 'offset': {
        if (this.#more === null && answer.records < (config.size ?? 1)) return null
        return config.type === 'page'
          ? { taken, page: (page.page ?? config.first) + 1 }
          : { taken, offset: (page.offset ?? 0) + answer.records }
      }
    }
  }

  #resolved(target: string, from: URL): string {
    if (URL.canParse(target, from.href)) return new URL(target, from).href
    const message = `${this.#name}: the address of the next page is none`
    throw new SluiceError('http.poll.answer', { message })
  }

  /** Counted pages that are all alike are one page, asked again and again. */
  #sameAgain(next: PageState, { body, records }: PageAnswer): void {
    if (next.page === undefined && next.offset === undefined) return
    const now = hash('sha256', body, 'hex')
    if (records > 0 && now === this.#before) {
      const message = `${this.#name}: pages ${next.taken - 1} and ${next.taken} are the same`
      throw new SluiceError('http.poll.loop', { message })
    }
    this.#before = now
  }
}

function finderOf(path: string | undefined): JsonFinder | null {
  const parsed = path === undefined ? null : parseJsonPath(path)
  return parsed === null || 'mistake' in parsed ? null : new JsonFinder(parsed.segments)
}

/** What tells the page from others, as a parameter has it; null = the first. */
function placeOf({ cursor, page, offset, url }: PageState): string | null {
  return cursor ?? url ?? page?.toString() ?? offset?.toString() ?? null
}

function placeHash(place: string | null): string {
  return place === null ? '' : hash('sha256', place, 'base64url').slice(0, 16)
}
