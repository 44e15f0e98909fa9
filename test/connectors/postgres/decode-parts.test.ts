/** Borders the decoder chooses: hand-made messages of protocol 1, for sizes and cases that are rare on the wire. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TypeCatalog, type TableInfo } from '../../../connectors/postgres/catalog.ts'
import { batchBytes, Decoder, partBytes } from '../../../connectors/postgres/decode.ts'
import { formatLsn, parseLsn } from '../../../connectors/postgres/lsn.ts'
import { Relations } from '../../../connectors/postgres/relations.ts'
import { position, type RowsChange, type SourceBatch } from '../../../core/connector/source.ts'
import { bitAt } from '../../../core/record/bitmap.ts'
import { Fold } from '../../support/fold.ts'

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const tag = (letter: string): Buffer => Buffer.from(letter)

/** null = null, undefined = unchanged. */
type Value = string | null | undefined
const tuple = (values: readonly Value[]): Buffer =>
  Buffer.concat([
    int16(values.length),
    ...values.flatMap((value) => {
      if (value === null) return [tag('n')]
      if (value === undefined) return [tag('u')]
      return [tag('t'), int32(Buffer.byteLength(value)), Buffer.from(value)]
    }),
  ])

const oid = 16_400
const column = (attnum: number, name: string, typeOid: number, notNull: boolean) =>
  ({ attnum, name, typeOid, typmod: -1, typeName: '', notNull, generated: '' }) as const
const table: TableInfo = {
  oid,
  schema: 'public',
  name: 't',
  kind: 'table',
  columns: [column(1, 'id', 23, true), column(2, 'note', 25, true), column(3, 'big', 25, false)],
  key: ['id'],
  identity: 'default',
  partitions: [],
  rowsEstimate: 0,
  pagesEstimate: 0,
}
const relation = Buffer.concat([
  tag('R'),
  int32(oid),
  text('public'),
  text('t'),
  tag('d'),
  int16(3),
  ...table.columns.flatMap(({ name, typeOid }) => [
    Buffer.from([name === 'id' ? 1 : 0]),
    text(name),
    int32(typeOid),
    int32(-1),
  ]),
])

class Server {
  readonly out: SourceBatch[] = []
  readonly #decoder: Decoder
  #lsn = 1000n
  private constructor(types: TypeCatalog) {
    this.#decoder = new Decoder({
      relations: new Relations([table], types, 'p'),
      after: 1n,
      positionAt: (lsn) => position(formatLsn(lsn)),
      filter: null,
    })
  }
  static async start(): Promise<Server> {
    const types = new TypeCatalog()
    const nothing = { query: () => Promise.resolve({ rows: [] }) }
    await types.load(nothing as unknown as Parameters<TypeCatalog['load']>[0], [23, 25])
    return new Server(types)
  }
  send(...parts: Buffer[]): void {
    const bytes = Buffer.concat(parts)
    this.#decoder.message(bytes, 0, bytes.length, 0)
    assert.equal(this.#decoder.lookup, null)
    this.out.push(...this.#decoder.out.splice(0))
  }
  begin(xid: number): void {
    this.#lsn += 100n
    this.send(tag('B'), int64(this.#lsn), int64(0n), int32(xid))
    this.send(relation)
  }
  insert(...values: Value[]): void {
    this.send(tag('I'), int32(oid), tag('N'), tuple(values))
  }
  commit(): void {
    this.send(tag('C'), Buffer.from([0]), int64(this.#lsn), int64(this.#lsn + 50n), int64(0n))
  }
  flush(): void {
    this.#decoder.flush()
    this.out.push(...this.#decoder.out.splice(0))
  }
}

const large = 'x'.repeat(100_000)
const rowsOf = (batch: SourceBatch): number =>
  batch.changes.reduce((sum, change) => sum + ('batch' in change ? change.batch.rows : 0), 0)

describe('batch borders', () => {
  it('sends a large transaction in parts, after the whole ones before it (invariant 3)', async () => {
    const server = await Server.start()
    server.begin(1)
    server.insert('1', 'small', null)
    server.commit()
    server.begin(2)
    const rows = Math.ceil((partBytes * 2.5) / large.length)
    for (let i = 0; i < rows; i++) server.insert(String(10 + i), large, null)
    server.commit()
    const [whole, ...parts] = server.out
    assert.deepEqual([whole!.transaction, rowsOf(whole!)], [null, 1])
    assert.equal(parts.length, 3)
    for (const part of parts) assert.deepEqual(part.transaction, { id: '2', part: '' })
    assert.deepEqual(
      parts.map(({ end, position: at }) => [end, at === null]),
      [
        [null, true],
        [null, true],
        ['commit', false],
      ],
    )
    assert.equal(
      parts.reduce((sum, part) => sum + rowsOf(part), 0),
      rows,
    )
    assert.ok(parseLsn(parts[2]!.position!) > parseLsn(whole!.position!))
    const fold = new Fold()
    for (const batch of server.out) fold.apply(batch)
    assert.equal(fold.sorted('public.t').length, rows + 1)
  })

  it('merges small transactions until they are worth a batch, and never gives half of one', async () => {
    const server = await Server.start()
    const each = 'y'.repeat(1000)
    for (let xid = 1; xid <= 2000; xid++) {
      server.begin(xid)
      server.insert(String(xid), each, null)
      server.insert(String(-xid), each, null)
      server.flush()
      server.commit()
    }
    server.flush()
    assert.ok(server.out.length <= 5, `${server.out.length} batches`)
    for (const batch of server.out) {
      assert.equal(batch.transaction, null)
      assert.equal(rowsOf(batch) % 2, 0)
      assert.ok(
        batch.changes.every(
          (change) => 'batch' in change && change.batch.byteLength < batchBytes * 2,
        ),
      )
    }
    const count = server.out.length
    server.flush()
    assert.equal(server.out.length, count, 'nothing new, nothing to say')
  })

  it('keeps the marks of unchanged values and old keys right where a transaction is cut off from others', async () => {
    const server = await Server.start()
    server.begin(1)
    server.send(tag('U'), int32(oid), tag('N'), tuple(['1', 'a', undefined]))
    server.commit()
    server.begin(2)
    server.send(
      tag('U'),
      int32(oid),
      tag('K'),
      tuple(['2', null, null]),
      tag('N'),
      tuple(['3', 'b', undefined]),
    )
    for (let i = 0; i * large.length < partBytes; i++) server.insert(String(100 + i), large, null)
    server.commit()
    const [whole, part] = server.out.map(({ changes }) => changes[0] as RowsChange)
    assert.equal(whole!.batch.rows, 1)
    assert.ok(bitAt(whole!.unchanged![2]!, 0))
    assert.deepEqual(Array.from(part!.batch.weights.subarray(0, 3)), [-1, 1, 1])
    assert.ok(!bitAt(part!.unchanged![2]!, 0) && bitAt(part!.unchanged![2]!, 1))
    assert.deepEqual(Array.from(part!.previous!.subarray(0, 3)), [-1, 0, -1])
  })

  it('puts a truncate in its place, between rows of one transaction and of others', async () => {
    const server = await Server.start()
    server.begin(1)
    server.insert('1', 'gone', null)
    server.commit()
    server.begin(2)
    server.insert('2', 'gone', null)
    server.send(tag('T'), int32(1), Buffer.from([0]), int32(oid))
    server.insert('3', 'kept', null)
    server.commit()
    server.flush()
    const fold = new Fold()
    for (const batch of server.out) fold.apply(batch)
    assert.deepEqual(fold.sorted('public.t'), ['["3","kept",null]'])
    const order = server.out.flatMap(({ changes }) =>
      changes.map((c) => ('truncate' in c ? 0 : c.batch.rows)),
    )
    assert.deepEqual(order, [1, 1, 0, 1])
  })

  it('makes a field nullable when an old row has null where the table is NOT NULL by now', async () => {
    const server = await Server.start()
    server.begin(1)
    server.insert('1', 'a', null)
    server.commit()
    server.flush()
    server.begin(2)
    server.insert('2', null, null)
    server.send(tag('D'), int32(oid), tag('K'), tuple(['1', null, null]))
    server.commit()
    server.flush()
    const nullable = server.out.map(({ changes }) =>
      (changes[0] as RowsChange).batch.schema.fields.map((field) => field.nullable),
    )
    assert.deepEqual(nullable, [
      [false, false, true],
      [false, true, true],
    ])
  })
})
