/** Events made by hand, without checksums, for what no server here writes at will. */

export interface EventFields {
  readonly flags?: number
  readonly seconds?: number
  readonly serverId?: number
  /** Low 32 bits of the place of its end; 0 = not said. */
  readonly end?: number
}

export function event(type: number, body: Uint8Array, fields: EventFields = {}): Buffer {
  const bytes = Buffer.alloc(19 + body.length)
  bytes.writeUInt32LE(fields.seconds ?? 1_700_000_000, 0)
  bytes[4] = type
  bytes.writeUInt32LE(fields.serverId ?? 1, 5)
  bytes.writeUInt32LE(bytes.length, 9)
  bytes.writeUInt32LE(fields.end ?? 0, 13)
  bytes.writeUInt16LE(fields.flags ?? 0, 17)
  bytes.set(body, 19)
  return bytes
}

export function query(sql: string, fields: EventFields = {}, database = 'shop'): Buffer {
  const head = Buffer.alloc(13)
  head[8] = database.length
  return event(2, Buffer.concat([head, Buffer.from(`${database}\0${sql}`)]), fields)
}

const uuidBytes = Buffer.from('3e11fa4771ca11e19e33c80aa9429562', 'hex')
export const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'

export function gtid(number: number, fields: EventFields = {}): Buffer {
  const body = Buffer.alloc(25)
  body.set(uuidBytes, 1)
  body.writeBigUInt64LE(BigInt(number), 17)
  return event(33, body, fields)
}

/** MariaDB's. */
export function domainGtid(domain: number, number: number, flags = 0, xid = ''): Buffer {
  const head = Buffer.alloc(13)
  head.writeBigUInt64LE(BigInt(number))
  head.writeUInt32LE(domain, 8)
  head[12] = flags
  const xa = Buffer.concat([Buffer.from([1, 0, 0, 0, xid.length, 0]), Buffer.from(xid)])
  return event(162, xid === '' ? Buffer.concat([head, Buffer.alloc(6)]) : Buffer.concat([head, xa]))
}

export function xaPrepare(gtrid: string, onePhase = false): Buffer {
  const head = Buffer.alloc(13)
  head[0] = onePhase ? 1 : 0
  head.writeUInt32LE(1, 1)
  head.writeUInt32LE(gtrid.length, 5)
  return event(38, Buffer.concat([head, Buffer.from(gtrid)]))
}

export const xid = event(16, Buffer.alloc(8))

/** shop.t (id int not null primary key, v varchar(10)), self-describing. */
export function tableMap(tableId = 7, table = 't'): Buffer {
  const head = Buffer.alloc(8)
  head.writeUIntLE(tableId, 0, 6)
  const body = Buffer.concat([
    head,
    Buffer.from([4]),
    Buffer.from('shop\0'),
    Buffer.from([table.length]),
    Buffer.from(`${table}\0`),
    Buffer.from([2, 3, 15, 2, 10, 0, 2]),
    // Signed, utf8mb4, names, primary key.
    Buffer.from([1, 1, 0, 2, 1, 45, 4, 5, 2, 0x69, 0x64, 1, 0x76, 8, 1, 0]),
  ])
  return event(19, body)
}

/** [id, v] each; null as it is. */
export type Row = readonly [number, string | null]

function image([id, v]: Row): Buffer {
  const head = Buffer.alloc(5)
  head[0] = v === null ? 2 : 0
  head.writeInt32LE(id, 1)
  return v === null ? head : Buffer.concat([head, Buffer.from([v.length]), Buffer.from(v)])
}

function rowsHead(tableId: number, images: 1 | 2, endsStatement: boolean): Buffer {
  const head = Buffer.alloc(10)
  head.writeUIntLE(tableId, 0, 6)
  head[6] = endsStatement ? 1 : 0
  head[8] = 2
  return Buffer.concat([head, Buffer.from([2, ...(images === 1 ? [3] : [3, 3])])])
}

export function writeRows(rows: readonly Row[], tableId = 7, endsStatement = true): Buffer {
  return event(30, Buffer.concat([rowsHead(tableId, 1, endsStatement), ...rows.map(image)]))
}

export function updateRows(pairs: readonly (readonly [Row, Row])[], tableId = 7): Buffer {
  return event(31, Buffer.concat([rowsHead(tableId, 2, true), ...pairs.flat().map(image)]))
}

export function deleteRows(rows: readonly Row[], tableId = 7): Buffer {
  return event(32, Buffer.concat([rowsHead(tableId, 1, true), ...rows.map(image)]))
}
