/** The recorded streams of test/fixtures/postgres, and a decoder run over bytes. */
import { readFileSync } from 'node:fs'
import { TypeCatalog, type TableInfo } from '../../../connectors/postgres/catalog.ts'
import { Decoder } from '../../../connectors/postgres/decode.ts'
import { formatLsn, parseLsn } from '../../../connectors/postgres/lsn.ts'
import { Relations } from '../../../connectors/postgres/relations.ts'
import { FrameReader } from '../../../connectors/postgres/replication-frames.ts'
import type { RowFilter } from '../../../connectors/postgres/row-filter.ts'
import type { PgType } from '../../../connectors/postgres/types.ts'
import { position, type SourceBatch } from '../../../core/connector/source.ts'

export interface Recorded {
  readonly bytes: Buffer
  readonly after: string
  readonly tables: readonly TableInfo[]
  readonly later: readonly TableInfo[]
  readonly types: readonly PgType[]
  readonly rows: Readonly<Record<string, readonly string[]>>
}

export function recorded(major: 14 | 18): Recorded {
  const base = `${import.meta.dirname}/../../fixtures/postgres/pg${major}`
  const meta = JSON.parse(readFileSync(`${base}.json`, 'utf8')) as Omit<Recorded, 'bytes'>
  return { ...meta, bytes: readFileSync(`${base}.bin`) }
}

/** A catalog and its answers, without a server: what was true when the recording ended. */
export class RecordedRelations {
  readonly relations: Relations
  readonly #client: Parameters<TypeCatalog['load']>[0]

  constructor(recording: Pick<Recorded, 'tables' | 'later' | 'types'>) {
    const query = (sql: string, values: readonly unknown[] = []): Promise<{ rows: unknown[] }> => {
      if (sql.includes('pg_type')) {
        const oids = values[0] as number[]
        return Promise.resolve({ rows: recording.types.filter(({ oid }) => oids.includes(oid)) })
      }
      if (!sql.includes('pg_class')) return Promise.resolve({ rows: [] })
      const names = values[1] as string[]
      const found = recording.later.filter(({ name }) => names.includes(name))
      const rows = found.map((table) => ({
        ...table,
        relkind: 'r',
        relreplident: table.identity[0],
      }))
      return Promise.resolve({ rows })
    }
    this.#client = { query } as unknown as Parameters<TypeCatalog['load']>[0]
    this.relations = new Relations(recording.tables, new TypeCatalog(), 'recorded')
  }

  async load(decoder: Decoder): Promise<void> {
    await this.relations.load(this.#client, decoder.lookup!)
    decoder.resume()
  }
}

export interface RunOptions {
  readonly after?: bigint
  readonly filter?: RowFilter
  /** Cuts the bytes into chunks of these sizes, again and again. */
  readonly chunkBytes?: readonly number[]
}

/** All batches that the bytes give, with a flush at the end. Throws what the decoder throws. */
export async function decodeAll(
  recording: Recorded,
  bytes: Uint8Array,
  options: RunOptions = {},
): Promise<SourceBatch[]> {
  const catalog = new RecordedRelations(recording)
  const decoder = new Decoder({
    relations: catalog.relations,
    after: options.after ?? parseLsn(recording.after),
    positionAt: (lsn) => position(formatLsn(lsn)),
    filter: options.filter ?? null,
  })
  const reader = new FrameReader({
    get waiting() {
      return decoder.lookup !== null
    },
    message: (source, start, end, sentUs) => decoder.message(source, start, end, sentUs),
    keepalive: (walEnd) => decoder.keepalive(walEnd),
    other: () => {},
  })
  const sizes = options.chunkBytes ?? [65_536]
  const batches: SourceBatch[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    reader.give(bytes.slice(at, at + size))
    while (!reader.run()) await catalog.load(decoder)
    at += size
    batches.push(...decoder.out.splice(0))
  }
  decoder.flush()
  batches.push(...decoder.out)
  return batches
}
