/**
 * One Parquet file, whole in memory: written row group by row group, read column by column.
 *
 * Values go in and come out as their physical types (parquet-types.ts); what they mean stands in the
 * file's schema, which is put in its place last. zstd, level 1; statistics only for columns that
 * readers prune by.
 */
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib'
import { setImmediate as turn } from 'node:timers/promises'
import {
  parquetMetadata,
  parquetRead,
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  type SchemaElement,
} from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { SluiceError } from '../../../core/errors/error.ts'
import { columnNames, physicalSchema } from './parquet-types.ts'
import type { PhysicalValue } from './physical.ts'

const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
const compress = { ZSTD: (bytes: Uint8Array) => viewOf(zstdCompressSync(bytes, zstdOptions)) }
/** A page is at most this large when it is unpacked: a length read from a file is not believed. */
const pageBytesMax = 256 << 20
const decompress: Compressors = {
  ZSTD: (bytes, bytesMax) => {
    // A page of nulls alone.
    if (bytesMax === 0) return new Uint8Array(0)
    if (bytesMax > pageBytesMax) throw new RangeError(`a page of ${bytesMax} bytes`)
    return viewOf(zstdDecompressSync(bytes, { maxOutputLength: bytesMax }))
  },
}
const schemaKey = 'sluice.schema'

export class ParquetOut {
  readonly #writer: ParquetWriter
  readonly #bytes = new ByteWriter()
  readonly #elements: SchemaElement[]
  /** Columns with statistics: those that are never null, by which readers prune. */
  readonly #pruned: ReadonlySet<string>

  /** `elements`: the schema that readers are told. */
  constructor(elements: readonly SchemaElement[], schemaId: string) {
    this.#elements = [...elements]
    this.#pruned = new Set(
      elements
        // Bounds of a 16-byte decimal are signed, and the writer would compare them as bytes.
        .filter(
          ({ type, repetition_type }) =>
            repetition_type === 'REQUIRED' && type !== 'FIXED_LEN_BYTE_ARRAY',
        )
        .map(({ name }) => name),
    )
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: physicalSchema(elements),
      codec: 'ZSTD',
      compressors: compress,
      kvMetadata: [{ key: schemaKey, value: schemaId }],
      createdBy: 'sluice',
    })
  }

  get rows(): number {
    return Number(this.#writer.num_rows)
  }

  /** One row group; `columns` in the schema's order, all of one length. */
  rowGroup(columns: readonly PhysicalValue[][]): void {
    const rowGroupSize = columns[0]?.length ?? 0
    if (rowGroupSize === 0) return
    const columnData = columnNames(this.#elements).map((name, i) => ({
      name,
      data: columns[i]!,
      statistics: this.#pruned.has(name),
    }))
    void this.#writer.write({ columnData, rowGroupSize })
  }

  finish(): Uint8Array {
    this.#writer.schema = this.#elements
    void this.#writer.finish()
    return new Uint8Array(this.#bytes.getBuffer())
  }
}

export class ParquetIn {
  readonly rows: number
  readonly schemaId: string
  readonly elements: readonly SchemaElement[]
  readonly #file: AsyncBuffer
  readonly #metadata: FileMetaData

  /** Throws `sink.feast.offline_file_damaged`; `name` is for the message. */
  constructor(name: string, bytes: Uint8Array) {
    const buffer = exactBuffer(bytes)
    const metadata = parsed(name, buffer)
    this.elements = metadata.schema
    this.rows = Number(metadata.num_rows)
    this.schemaId = metadata.key_value_metadata?.find(({ key }) => key === schemaKey)?.value ?? ''
    this.#metadata = { ...metadata, schema: physicalSchema(metadata.schema) }
    this.#file = {
      byteLength: buffer.byteLength,
      slice: (start, end) => buffer.slice(start, end),
    }
  }

  get names(): readonly string[] {
    return columnNames(this.elements)
  }

  /** Values of one column in rows [start, end), as physical types. Gives the event loop a turn. */
  async column(name: string, start = 0, end = this.rows): Promise<PhysicalValue[]> {
    if (start >= end) return []
    await turn()
    const values = Array.from<PhysicalValue>({ length: end - start }).fill(null)
    await parquetRead({
      file: this.#file,
      metadata: this.#metadata,
      columns: [name],
      rowStart: start,
      rowEnd: end,
      compressors: decompress,
      utf8: false,
      // A chunk may begin before the rows that were asked for, and end after them.
      onChunk: ({ columnData, rowStart }) => {
        const chunk = columnData as ArrayLike<PhysicalValue | undefined>
        const first = Math.max(0, start - rowStart)
        const last = Math.min(chunk.length, end - rowStart)
        for (let i = first; i < last; i++) values[rowStart + i - start] = chunk[i] ?? null
      },
    })
    return values
  }
}

function parsed(name: string, buffer: ArrayBuffer): FileMetaData {
  try {
    return parquetMetadata(buffer)
  } catch (cause) {
    throw new SluiceError('sink.feast.offline_file_damaged', {
      message: `${name} is not a Parquet file that can be read`,
      cause,
    })
  }
}

function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && buffer.byteLength === byteLength) {
    return buffer
  }
  return new Uint8Array(bytes).buffer
}

function viewOf(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
