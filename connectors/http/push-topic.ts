/**
 * PushTopic: the requests to one path, from when their bodies are there until they are in a commit.
 * Requests wait in a queue; `drain` makes one batch of several of them, so that a commit of a thousand
 * requests has a thousand rows in one block and not a thousand blocks.
 *
 * A request with a row that does not fit is refused as a whole, or, with `on_bad_row: dead_letter`, the row
 * is set aside. To refuse one of several that were decoded together, the others are decoded once more
 * without it: only then is it known, and only then does it cost.
 */
import type { Decoded, RecordDecoder, RejectedRecords } from '../../core/connector/format/format.ts'
import type { TopicChange } from '../../core/connector/source.ts'
import type { Batch } from '../../core/record/batch.ts'
import { SluiceError } from '../../core/errors/error.ts'
import type { Delivery } from './delivery.ts'
import { Gathering, noExtras, type Beside, type DecodedRecords } from './gathering.ts'
import { keysTopic, type Idempotency } from './idempotency.ts'
import type { KeySource } from './key-source.ts'
import type { Refusal } from './push-body.ts'
import type { Attributes, PushColumns } from './push-columns.ts'
import type { BodyReader } from './push-records.ts'
import { gatherRejected } from './rejected-records.ts'
import { refusalOf } from './rejection.ts'

export interface PushTopicParts {
  readonly name: string
  readonly decoder: RecordDecoder
  readonly bodies: BodyReader
  readonly columns: PushColumns
  readonly keys: KeySource | null
  readonly idempotency: Idempotency | null
  readonly onBadRow: 'refuse' | 'dead_letter'
  /** What one request may take with the copies that are made of its parts. */
  readonly requestBytesMax: number
}

/** What is ready for a commit. */
export interface Drained {
  readonly changes: readonly TopicChange[]
  readonly rejected: readonly RejectedRecords[]
  /** To be told when the commit is there. */
  readonly deliveries: readonly Delivery[]
}

/** A small body can ask for much: its header once a row, its headers once an event. */
const tooMuch: Refusal = {
  status: 413,
  code: 'http.too_large',
  detail: 'the rows of the request take too much together',
}

const noHeader = { start: -1, end: -1 } as const

export class PushTopic {
  readonly parts: PushTopicParts
  readonly #gathering = new Gathering()
  #queue: Delivery[] = []
  #queueFrom = 0

  constructor(parts: PushTopicParts) {
    this.parts = parts
  }

  get waiting(): number {
    return this.#queue.length - this.#queueFrom
  }

  add(delivery: Delivery): void {
    this.#queue.push(delivery)
  }

  /** All that wait and were not drained. */
  abandon(): readonly Delivery[] {
    const waiting = this.#queue.slice(this.#queueFrom)
    this.#queue = []
    this.#queueFrom = 0
    return waiting
  }

  /** Leaves out those that were told to send again: taken all the same, they would be there twice. */
  forgetAnswered(): void {
    this.#queue = this.#queue.slice(this.#queueFrom).filter(({ isAnswered }) => !isAnswered)
    this.#queueFrom = 0
  }

  /** The schema of the topic, and of its keys, as batches of no rows. */
  announce(): TopicChange[] {
    return [...this.parts.decoder.take().changes, ...this.#keysOf([])]
  }

  /** Up to about `bytesMax` of waiting bodies as one batch. Refused requests are answered here. */
  drain(bytesMax: number): Drained {
    const gathered: Delivery[] = []
    let bytes = 0
    while (this.#queueFrom < this.#queue.length && bytes < bytesMax) {
      const delivery = this.#queue[this.#queueFrom++]!
      bytes += delivery.parts.body.length
      if (this.#gather(delivery)) gathered.push(delivery)
    }
    // Those that were drained are let go at once.
    this.#queue = this.#queueFrom === this.#queue.length ? [] : this.#queue.slice(this.#queueFrom)
    this.#queueFrom = 0
    const drained = this.#decode(gathered)
    this.#gathering.clear()
    return drained
  }

  /** Records that were set aside, once more. */
  decodeAgain(batch: Batch): Decoded {
    const decoded = gatherRejected(batch, this.parts.columns).map((records) =>
      this.#decodeAll(records),
    )
    return {
      changes: decoded.flatMap(({ changes }) => changes),
      rejected: decoded.flatMap(({ rejected }) => rejected),
    }
  }

  /** Its records into the gathering; false when it was refused. */
  #gather(delivery: Delivery): boolean {
    const gathering = this.#gathering
    const [firstRecord, firstByte] = [gathering.count, gathering.end]
    const refusal = this.#readBody(delivery)
    delivery.dropBody()
    delivery.firstRecord = firstRecord
    delivery.endRecord = gathering.count
    if (refusal === null) return true
    gathering.rewind(firstRecord, firstByte)
    this.#refuse(delivery, refusal)
    return false
  }

  #refuse(delivery: Delivery, refusal: Refusal): void {
    this.parts.idempotency?.release(delivery)
    delivery.refused(refusal)
  }

  #readBody(delivery: Delivery): Refusal | null {
    const { bodies, columns, keys, idempotency, requestBytesMax } = this.parts
    const gathering = this.#gathering
    const endMax = gathering.end + requestBytesMax
    const ofRequest = keys?.ofRequest(delivery) ?? null
    if (ofRequest !== null && typeof ofRequest !== 'string') return ofRequest
    if (ofRequest !== null && idempotency?.claim(ofRequest, delivery) === 'duplicate') {
      delivery.duplicates++
      return null
    }
    let shared: Beside | null = null
    return bodies.read(delivery, gathering, (start, end, index, attributes) => {
      const key = ofRequest ?? keys?.ofRecord(gathering.bytes, start, end, attributes) ?? null
      if (keys !== null && ofRequest === null) {
        if (key === null) return keys.missing(index)
        if (idempotency?.claim(key, delivery) === 'duplicate') {
          delivery.duplicates++
          return null
        }
      }
      if (gathering.end > endMax) return tooMuch
      if (shared === null || columns.areOfRecord) shared = this.#beside(delivery, key, attributes)
      gathering.append(start, end, shared, index)
      return null
    })
  }

  #beside(delivery: Delivery, key: string | null, attributes: Attributes | null): Beside {
    const { columns, onBadRow } = this.parts
    const timeUs = delivery.parts.receivedMs * 1000
    if (columns.isEmpty) return { extras: noExtras, header: noHeader, timeUs }
    const extras = columns.of(delivery.parts, key, attributes ?? undefined)
    if (onBadRow === 'refuse') return { extras, header: noHeader, timeUs }
    // A dead letter has to say them too, or a retry would lose them.
    const start = this.#gathering.put(Buffer.from(columns.textOf(extras)))
    return { extras, header: { start, end: this.#gathering.end }, timeUs }
  }

  #decode(gathered: readonly Delivery[]): Drained {
    let { changes, rejected } = this.#decodeAll(this.#gathering)
    let good = gathered
    if (rejected.length > 0) {
      const counts = this.#badRows(gathered, rejected)
      if (this.parts.onBadRow === 'dead_letter') {
        for (const [delivery, rows] of counts) delivery.setAside = rows
      } else {
        for (const delivery of counts.keys()) this.#refuse(delivery, this.#whyRefused(delivery))
        good = gathered.filter((delivery) => !counts.has(delivery))
        this.#gathering.keep(good.map(({ firstRecord: from, endRecord: to }) => ({ from, to })))
        ;({ changes, rejected } = this.#decodeAll(this.#gathering))
      }
    }
    const deliveries: Delivery[] = []
    for (const delivery of good) {
      const { firstRecord, endRecord, setAside } = delivery
      delivery.accepted = endRecord - firstRecord - setAside
      if (endRecord > firstRecord) deliveries.push(delivery)
      else delivery.stored()
    }
    const keys = deliveries.length === 0 ? [] : this.#keysOf(deliveries)
    const rows = changes.map((change) => ('batch' in change ? { ...change, owned: true } : change))
    return { changes: [...rows, ...keys], rejected, deliveries }
  }

  #decodeAll(records: DecodedRecords): Decoded {
    const { decoder, columns, name } = this.parts
    if (records.count === 0) return { changes: [], rejected: [] }
    columns.current = records
    const decoded = decoder.decode(records, 0)
    columns.current = null
    if (decoded < records.count) {
      const message = `${name}: its format waits for something that it cannot need`
      throw new SluiceError('internal.bug', { message })
    }
    return decoder.take()
  }

  /** Of each request that has some: how many of its records were rejected. */
  #badRows(
    gathered: readonly Delivery[],
    rejected: readonly RejectedRecords[],
  ): ReadonlyMap<Delivery, number> {
    const counts = new Map<Delivery, number>()
    let at = 0
    for (const { indexes } of rejected) {
      for (const record of indexes) {
        while (gathered[at]!.endRecord <= record) at++
        counts.set(gathered[at]!, (counts.get(gathered[at]!) ?? 0) + 1)
      }
    }
    return counts
  }

  /** The request is decoded alone, so that its rows have the numbers that they have in it. */
  #whyRefused({ firstRecord, endRecord }: Delivery): Refusal {
    const { rejected } = this.#decodeAll(this.#gathering.part(firstRecord, endRecord))
    return refusalOf(
      rejected.flatMap(({ errors, indexes }) =>
        errors.map((error, row) => ({ index: indexes[row]!, error })),
      ),
    )
  }

  #keysOf(deliveries: readonly Delivery[]): TopicChange[] {
    const { idempotency, name } = this.parts
    if (idempotency === null) return []
    return [{ topic: keysTopic(name), batch: idempotency.batch(deliveries) }]
  }
}
