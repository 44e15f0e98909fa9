/**
 * What a fetch brought of one partition, as Records: several batches at a time, of all formats that Kafka has
 * had. Batches that are not compressed are read where they lie; of others, some megabytes are inflated at a
 * time into memory that is used again. Left out: control batches (transaction markers), records of transactions
 * that were aborted, and a last batch that is cut off.
 */
import { crc32c } from '@node-rs/crc32'
import type { Records } from '../../core/connector/format/records.ts'
import { SluiceError } from '../../core/errors/error.ts'
import { AbortedTransactions } from './aborted-transactions.ts'
import type { FetchedPartition } from './driver.ts'
import { Inflated, type InflateFault } from './inflate.ts'
import { addInner, addMessage, emptyMessage, readMessage } from './message-set.ts'
import {
  addRecords,
  batchHeadBytes,
  batchLengthAt,
  batchPrefixBytes,
  controlType,
  crcFrom,
  emptyHead,
  magicAt,
  readHead,
} from './record-batch.ts'
import { RecordMemory } from './record-memory.ts'

/**
 * So much is handed out at a time, in whole batches. Whoever decodes it lets sockets be read in between: the kernel
 * keeps some hundred kilobytes for each, so that a broker waits while more than that is decoded in one go.
 */
const goalBytes = 64 * 1024

export interface RecordBatchesOptions {
  /** Most that may come of one compressed batch. */
  readonly inflatedBytesMax?: number
}

type Fetched = Pick<FetchedPartition, 'records' | 'aborted'> & { readonly topic?: string }

export class RecordBatches {
  readonly #memory = new RecordMemory()
  readonly #inflated: Inflated
  readonly #aborted = new AbortedTransactions()
  readonly #head = emptyHead()
  readonly #message = emptyMessage()
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #at = 0
  #topic = ''
  #partition = 0
  #end = 0
  /** Records lie in the answer or in what was inflated, never in both at a time. */
  #isInflated = false

  constructor({ inflatedBytesMax = 128 * 1024 * 1024 }: RecordBatchesOptions = {}) {
    this.#inflated = new Inflated(inflatedBytesMax)
  }

  /** Begins with another answer; what `next` gave is void. */
  open({ records, aborted, topic }: Fetched, partition: number): void {
    this.#bytes = records
    this.#view = new DataView(records.buffer, records.byteOffset, records.byteLength)
    this.#at = 0
    this.#topic = topic ?? ''
    this.#partition = partition
    this.#end = 0
    this.#aborted.begin(aborted)
  }

  /** One after the last offset of the batches that were passed, whether they had records or not; 0 before any. */
  get end(): number {
    return this.#end
  }

  /**
   * The next records, void with the next call; null = no more. Throws `source.kafka.corrupt` or
   * `source.kafka.batch_size` in front of the batch that it is about, after the records before it were given.
   */
  next(): Records | null {
    const memory = this.#memory
    memory.count = 0
    memory.partition = this.#partition
    this.#inflated.clear()
    this.#isInflated = false
    try {
      const from = this.#at
      while (this.#addNext(from)) continue
    } catch (error) {
      // What is before it comes first; the next call gets there again.
      if (memory.count === 0) throw error
    }
    if (memory.count === 0) return null
    memory.bytes = this.#isInflated ? this.#inflated.bytes : this.#bytes
    return memory
  }

  /** Passes the next batch; false when there is none, or it is for the next call, which began at `from`. */
  #addNext(from: number): boolean {
    const end = this.#batchEnd()
    if (end < 0) return false
    const isOld = this.#bytes[this.#at + magicAt]! < 2
    const codec = isOld ? this.#readMessage(end) : this.#readBatch(end)
    if (codec >= 0) {
      if (this.#memory.count > 0 && this.#isInflated !== codec > 0) return false
      this.#isInflated = codec > 0
      const fault = isOld ? this.#addMessages() : this.#addBatch(end)
      if (fault !== null) throw this.#fault(fault)
    }
    this.#at = end
    this.#end = (isOld ? this.#message.offset : this.#head.lastOffset) + 1
    if (this.#isInflated) return !this.#inflated.isFull && this.#inflated.end < goalBytes
    return end - from < goalBytes
  }

  /** Where the batch at `#at` ends; −1 where it is not all there. */
  #batchEnd(): number {
    const left = this.#bytes.length - this.#at
    if (left <= magicAt) return -1
    const length = this.#view.getInt32(this.#at + batchLengthAt)
    if (length <= magicAt - batchPrefixBytes) throw this.#fault('malformed')
    return length > left - batchPrefixBytes ? -1 : this.#at + batchPrefixBytes + length
  }

  /** Checks the batch; returns its codec, or −1 where its records are not to be seen. */
  #readBatch(end: number): number {
    const at = this.#at
    const head = this.#head
    if (this.#bytes[at + magicAt] !== 2 || end - at < batchHeadBytes) throw this.#fault('malformed')
    readHead(this.#view, at, head)
    // The offsets are outside of the checksum: they have to go up.
    const isInOrder = head.baseOffset >= this.#end && head.lastOffset >= head.baseOffset
    const crc = crc32c(this.#bytes.subarray(at + crcFrom, end))
    if (!isInOrder || crc !== head.crc) throw this.#fault('malformed')
    if (head.lastOffset >= Number.MAX_SAFE_INTEGER) throw this.#beyond(head.lastOffset)
    const isSeen = this.#aborted.see(head, this.#bytes, at + batchHeadBytes, end, controlType)
    return isSeen && head.count > 0 ? head.codec : -1
  }

  #addBatch(end: number): InflateFault | null {
    const from = this.#at + batchHeadBytes
    const head = this.#head
    if (head.codec === 0) {
      return addRecords(this.#memory, this.#bytes, from, end, head) ? null : 'malformed'
    }
    const begin = this.#inflated.end
    const fault = this.#inflated.add(head.codec, this.#bytes, from, end)
    if (fault !== null) return fault
    const { bytes, end: stop } = this.#inflated
    return addRecords(this.#memory, bytes, begin, stop, head) ? null : 'malformed'
  }

  #readMessage(end: number): number {
    const message = this.#message
    if (!readMessage(this.#bytes, this.#view, this.#at, end, message))
      throw this.#fault('malformed')
    if (message.offset < this.#end) throw this.#fault('malformed')
    if (message.offset >= Number.MAX_SAFE_INTEGER) throw this.#beyond(message.offset)
    return message.codec
  }

  #addMessages(): InflateFault | null {
    const message = this.#message
    if (message.codec === 0) {
      addMessage(this.#memory, message)
      return null
    }
    if (message.valueStart < 0) return 'malformed'
    const begin = this.#inflated.end
    const { codec, valueStart, valueEnd } = message
    const fault = this.#inflated.add(codec, this.#bytes, valueStart, valueEnd)
    if (fault !== null) return fault
    const { bytes, end: stop } = this.#inflated
    return addInner(this.#memory, bytes, begin, stop, message) ? null : 'malformed'
  }

  get #where(): string {
    const name = this.#topic === '' ? 'partition' : `${this.#topic} partition`
    return `${name} ${this.#partition}`
  }

  #fault(fault: InflateFault): SluiceError {
    const left = this.#bytes.length - this.#at
    const offset = left < batchLengthAt ? this.#end : this.#view.getBigInt64(this.#at)
    const where = `The batch of ${this.#where} at offset ${offset}`
    if (fault === 'too large') {
      return new SluiceError('source.kafka.batch_size', {
        message: `${where} would take more memory than one batch is given.`,
      })
    }
    return new SluiceError('source.kafka.corrupt', {
      message: `${where} is damaged: it does not match its checksum, or is not what its head says.`,
    })
  }

  #beyond(offset: number): SluiceError {
    return new SluiceError('source.kafka.position', {
      message: `Offset ${offset} of ${this.#where} is beyond 2^53.`,
    })
  }
}
