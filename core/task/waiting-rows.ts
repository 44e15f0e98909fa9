/**
 * WaitingRows: the rows of a topic that wait, by lane. A lane's rows go in the order of their offsets:
 * only its first one is ever due. What a sink has set aside and no commit holds yet keeps a place in its
 * lane, so that no later row of the lane can slip past it meanwhile.
 *
 * Here is only where the rows are (letter-book.ts); their bytes stay in the log.
 */
import type { WaitingPlaces } from '../connector/waiting.ts'
import type { OpenLetter } from './letter-book.ts'

/** Rows of one topic that may wait; each takes about 500 bytes of memory. */
const rowsMax = 50_000

export interface Lane {
  readonly name: string
  /** In the order of their offsets. */
  readonly letters: OpenLetter[]
  /** Set aside by the sink, and not committed yet. */
  places: number
  /** Its first row is under way. */
  busy: boolean
  /** The first row whose time was noted (OpenLetter.at); −1 = none. */
  noted: number
  /** Counts those notes: an earlier one is void. */
  version: number
}

export class WaitingRows implements WaitingPlaces {
  readonly #lanes = new Map<string, Lane>()
  readonly #max: number
  #rows = 0

  constructor(max = rowsMax) {
    this.#max = max
  }

  /** Rows that wait, committed or not. */
  get rows(): number {
    return this.#rows
  }

  has(name: string): boolean {
    return this.#lanes.has(name)
  }

  take(name: string, rows: number): boolean {
    if (this.#rows + rows > this.#max) return false
    this.#lane(name).places += rows
    this.#rows += rows
    return true
  }

  /** Every lane that something waits in. */
  lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  get(name: string): Lane | null {
    return this.#lanes.get(name) ?? null
  }

  /** A letter waits (again), or waits no more. Returns the lanes whose first row may be another one now. */
  changed(now: OpenLetter | null, before: OpenLetter | null): readonly Lane[] {
    const touched = new Set<Lane>()
    if (before?.waits != null) {
      const lane = this.#lane(before.waits.lane)
      const at = lane.letters.findIndex(({ letter }) => letter === before.letter)
      if (at >= 0) {
        lane.letters.splice(at, 1)
        this.#rows--
      }
      touched.add(lane)
    }
    if (now?.waits != null) {
      const lane = this.#lane(now.waits.lane)
      if (before === null && lane.places > 0) {
        lane.places--
        this.#rows--
      }
      insert(lane.letters, now)
      this.#rows++
      touched.add(lane)
    }
    for (const lane of touched) this.settle(lane)
    return [...touched]
  }

  /** Forgets a lane that nothing waits in. */
  settle(lane: Lane): void {
    const empty = lane.letters.length === 0 && lane.places === 0 && !lane.busy
    if (empty) this.#lanes.delete(lane.name)
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name)
    if (known !== undefined) return known
    const lane: Lane = { name, letters: [], places: 0, busy: false, noted: -1, version: 0 }
    this.#lanes.set(name, lane)
    return lane
  }
}

/** Letters mostly come in the order of their offsets. */
function insert(letters: OpenLetter[], letter: OpenLetter): void {
  let at = letters.length
  while (at > 0 && (letters[at - 1]!.offset ?? 0) > (letter.offset ?? 0)) at--
  letters.splice(at, 0, letter)
}
