/**
 * What the commits of a chain add up to: folded by writers that take over, by readers of the head and
 * into snapshots. Every commit is checked against what came before it: sequence, hash, epoch, offsets.
 */
import type { Schema } from '../record/schema.ts'
import { corrupt } from './codec-bytes.ts'
import type { OpenedCommit, StatePart } from './codec-commit.ts'
import { commitKey } from './keys.ts'
import type { ChainHead, Cursors, TopicHead } from './types.ts'

/** A state part together with the object that it lies in. */
export interface StateRef {
  readonly key: string
  readonly part: StatePart
}

export interface KnownSchema {
  readonly schema: Schema
  /** The commit that brought it. */
  readonly seq: number
}

interface TopicState {
  nextOffset: number
  readonly schemas: Schema[]
  /** Highest row time so far; −Infinity before the first row. */
  timeMaxUs: number
}

export class ChainState {
  readonly chain: string
  seq = 0
  epoch = 0
  /** Hash of commit `seq`; '' before the first. */
  hash = ''
  timeMs = 0
  /** The newest snapshot known: what is after it has to be folded by whoever takes over. */
  snapshotSeq = 0
  /** Commits before this one may be gone. */
  floor = 1
  position: string | null = null
  cursors: Cursors = {}
  notes: unknown = null
  readonly topics = new Map<string, TopicState>()
  readonly schemas = new Map<string, KnownSchema>()
  stateFull: StateRef | null = null
  stateDeltas: StateRef[] = []
  #head: ChainHead | null = null

  constructor(chain: string) {
    this.chain = chain
  }

  /** Adds the next commit. Throws `log.corrupt` when it does not follow. */
  apply({ footer, hash }: OpenedCommit): void {
    const key = commitKey(this.chain, footer.seq)
    const wrong = (what: string): Error => corrupt({ object: key, byte: 0 }, 0, what)
    if (footer.seq !== this.seq + 1) throw wrong(`it does not follow commit ${this.seq}`)
    if (footer.prev !== this.hash) throw wrong('it was written after another predecessor')
    if (footer.epoch < this.epoch) throw wrong(`its epoch ${footer.epoch} is over`)
    for (const schema of footer.schemas) this.schemas.set(schema.id, { schema, seq: footer.seq })
    for (const block of footer.blocks) {
      const topic = this.#topic(block.topic)
      if (block.baseOffset !== topic.nextOffset) {
        throw wrong(`${block.topic} goes on at ${block.baseOffset}, not at ${topic.nextOffset}`)
      }
      topic.nextOffset += block.rows
      if (block.kind === 'rows' && block.rows > 0) {
        topic.timeMaxUs = Math.max(topic.timeMaxUs, block.timeMaxUs)
      }
      if (block.schemaId === null) continue
      const known = this.schemas.get(block.schemaId)
      if (known === undefined) throw wrong(`schema ${block.schemaId} was never written`)
      makeNewest(topic.schemas, known.schema)
    }
    this.#applyState(footer.state, key, footer.segments)
    this.seq = footer.seq
    this.epoch = footer.epoch
    this.hash = hash
    this.timeMs = footer.timeMs
    this.floor = footer.floor
    this.position = footer.position
    this.cursors = footer.cursors
    this.notes = footer.notes
    this.#head = null
  }

  nextOffset(topic: string): number {
    return this.topics.get(topic)?.nextOffset ?? 0
  }

  head(): ChainHead {
    this.#head ??= {
      seq: this.seq,
      epoch: this.epoch,
      position: this.position,
      cursors: this.cursors,
      notes: this.notes,
      topics: new Map(
        [...this.topics].map(([name, topic]): [string, TopicHead] => [
          name,
          { nextOffset: topic.nextOffset, schemas: [...topic.schemas] },
        ]),
      ),
    }
    return this.#head
  }

  #topic(name: string): TopicState {
    const found = this.topics.get(name) ?? { nextOffset: 0, schemas: [], timeMaxUs: -Infinity }
    this.topics.set(name, found)
    return found
  }

  #applyState(
    part: StatePart | null,
    commit: string,
    segments: readonly { readonly key: string }[],
  ): void {
    if (part === null) return
    const ref = { key: part.segment < 0 ? commit : segments[part.segment]!.key, part }
    if (part.kind === 'full') {
      this.stateFull = ref
      this.stateDeltas = []
    } else {
      this.stateDeltas.push(ref)
    }
  }
}

/** Puts it last. A table may get a schema again, by a column that comes back: then it is the newest once more. */
function makeNewest(schemas: Schema[], schema: Schema): void {
  if (schemas.at(-1) === schema) return
  const at = schemas.indexOf(schema)
  if (at >= 0) schemas.splice(at, 1)
  schemas.push(schema)
}
