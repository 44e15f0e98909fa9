/**
 * Footers of commits and segments, as JSON. What a commit says about position, cursors and notes is
 * always complete, so that one footer tells the whole truth of its moment.
 *
 *   commit  = { chain, seq, epoch, writer, id, prev, timeMs, floor, position, cursors, notes,
 *               topics: [name], schemas: [schema], known: { schema id: seq }, segments: [[key, bytes]],
 *               blocks: [block], state: part | null, bodyBytes }
 *   segment = { chain, epoch, writer, id, timeMs, topics, schemas, blocks: [block], state, bodyBytes }
 *   block   = [topic index, "r" | "t", baseOffset, rows, schema id | null, segment index | −1,
 *              byteStart, byteEnd, crc32c, timeMinUs, timeMaxUs]   ("t" = truncate; no bytes)
 *   part    = [segment index | −1, byteStart, byteEnd, rawBytes, crc32c, "full" | "delta"]
 *
 * prev is the hash of the previous commit ('' before the first). schemas are those new to the chain;
 * known says in which commit each other schema used here was new. A segment's block has baseOffset 0:
 * offsets are given by the commit that names it.
 */
import type { Schema } from '../record/schema.ts'
import { JsonReader, readSchema, schemaJson } from './codec-json.ts'
import { ObjectKind, openFooter, type ObjectPart } from './codec-object.ts'
import type { BlockInfo, Cursors } from './types.ts'

/** A block and where its bytes are: plain data, so that it can cross to a worker thread. */
export interface StoredBlock extends Omit<BlockInfo, 'schema'> {
  readonly schemaId: string | null
  /** Index into the commit's segments; −1: in the commit itself. */
  readonly segment: number
  readonly byteStart: number
  readonly byteEnd: number
  readonly crc32c: number
}

/** State bytes in a commit or segment. */
export interface StatePart {
  readonly segment: number
  readonly byteStart: number
  readonly byteEnd: number
  readonly rawBytes: number
  readonly crc32c: number
  readonly kind: 'full' | 'delta'
}

export interface SegmentRef {
  readonly key: string
  readonly bytes: number
}

export interface CommitFooter {
  readonly chain: string
  readonly seq: number
  readonly epoch: number
  readonly writer: string
  readonly id: string
  readonly prev: string
  readonly timeMs: number
  readonly floor: number
  readonly position: string | null
  readonly cursors: Cursors
  readonly notes: unknown
  readonly schemas: readonly Schema[]
  readonly known: Readonly<Record<string, number>>
  readonly segments: readonly SegmentRef[]
  readonly blocks: readonly StoredBlock[]
  readonly state: StatePart | null
  readonly bodyBytes: number
}

export interface SegmentFooter {
  readonly chain: string
  readonly epoch: number
  readonly writer: string
  readonly id: string
  readonly timeMs: number
  readonly schemas: readonly Schema[]
  readonly blocks: readonly StoredBlock[]
  readonly state: StatePart | null
  readonly bodyBytes: number
}

/** A commit's footer with the hash by which the next commit refers to it. */
export interface OpenedCommit {
  readonly footer: CommitFooter
  readonly hash: string
}

export function commitJson(footer: CommitFooter): object {
  return {
    ...segmentJson(footer),
    seq: footer.seq,
    prev: footer.prev,
    floor: footer.floor,
    position: footer.position,
    cursors: footer.cursors,
    notes: footer.notes ?? null,
    known: footer.known,
    segments: footer.segments.map(({ key, bytes }) => [key, bytes]),
  }
}

export function segmentJson(footer: SegmentFooter): object {
  const topics = [...new Set(footer.blocks.map((block) => block.topic))]
  const index = new Map(topics.map((topic, i) => [topic, i]))
  return {
    chain: footer.chain,
    epoch: footer.epoch,
    writer: footer.writer,
    id: footer.id,
    timeMs: footer.timeMs,
    topics,
    schemas: footer.schemas.map(schemaJson),
    blocks: footer.blocks.map((block) => [
      index.get(block.topic),
      block.kind === 'rows' ? 'r' : 't',
      block.baseOffset,
      block.rows,
      block.schemaId,
      block.segment,
      block.byteStart,
      block.byteEnd,
      block.crc32c,
      block.timeMinUs,
      block.timeMaxUs,
    ]),
    state: footer.state === null ? null : stateJson(footer.state),
    bodyBytes: footer.bodyBytes,
  }
}

export function stateJson(part: StatePart): unknown[] {
  return [part.segment, part.byteStart, part.byteEnd, part.rawBytes, part.crc32c, part.kind]
}

/** Throws `log.corrupt`, also when the object is another commit than the one of that chain and seq. */
export function openCommit(part: ObjectPart, chain: string, seq: number): OpenedCommit {
  const { json, hash, bodyBytes } = openFooter(part, ObjectKind.commit)
  const reader = new JsonReader(json, part.key)
  const segments = reader
    .get('segments')
    .list()
    .map((ref) => ({
      key: ref.get(0).text(),
      bytes: ref.get(1).count(),
    }))
  const footer: CommitFooter = {
    ...readCommon(reader, segments, bodyBytes),
    seq: reader.get('seq').count(),
    prev: reader.get('prev').text(),
    floor: reader.get('floor').count(),
    position: reader.get('position').textOrNull(),
    cursors: reader.get('cursors').counts(),
    notes: reader.get('notes').value,
    known: reader.get('known').counts(),
    segments,
  }
  if (footer.chain !== chain) throw reader.get('chain').fail(`of chain ${chain}`)
  if (footer.seq !== seq) throw reader.get('seq').fail(String(seq))
  return { footer, hash }
}

/** Throws `log.corrupt`. */
export function openSegment(part: ObjectPart): SegmentFooter {
  const { json, bodyBytes } = openFooter(part, ObjectKind.segment)
  return readCommon(new JsonReader(json, part.key), [], bodyBytes)
}

function readCommon(
  reader: JsonReader,
  segments: readonly SegmentRef[],
  bodyBytes: number,
): SegmentFooter {
  const topics = reader
    .get('topics')
    .list()
    .map((topic) => topic.text())
  const sizeOf = (segment: number): number =>
    segment < 0 ? bodyBytes : (segments[segment]?.bytes ?? 0)
  if (reader.get('bodyBytes').count() !== bodyBytes) {
    throw reader.get('bodyBytes').fail(`${bodyBytes}, as the object has`)
  }
  const state = reader.get('state')
  return {
    chain: reader.get('chain').text(),
    epoch: reader.get('epoch').count(),
    writer: reader.get('writer').text(),
    id: reader.get('id').text(),
    timeMs: reader.get('timeMs').number(),
    schemas: reader.get('schemas').list().map(readSchema),
    blocks: reader
      .get('blocks')
      .list()
      .map((block) => readBlockJson(block, topics, sizeOf)),
    state: state.value === null ? null : readStateJson(state, sizeOf),
    bodyBytes,
  }
}

function readBlockJson(
  json: JsonReader,
  topics: readonly string[],
  sizeOf: (segment: number) => number,
): StoredBlock {
  const topic = topics[json.get(0).count()]
  if (topic === undefined) throw json.get(0).fail('a topic')
  const kind = json.get(1).text()
  if (kind !== 'r' && kind !== 't') throw json.get(1).fail('a kind of block')
  const segment = json.get(5).number()
  const byteStart = json.get(6).count()
  const byteEnd = json.get(7).count()
  if (byteEnd < byteStart || byteEnd > sizeOf(segment)) throw json.get(7).fail('within the object')
  return {
    topic,
    kind: kind === 'r' ? 'rows' : 'truncate',
    baseOffset: json.get(2).count(),
    rows: json.get(3).count(),
    schemaId: json.get(4).textOrNull(),
    segment,
    byteStart,
    byteEnd,
    crc32c: json.get(8).count(),
    timeMinUs: json.get(9).number(),
    timeMaxUs: json.get(10).number(),
    byteLength: byteEnd - byteStart,
  }
}

export function readStateJson(json: JsonReader, sizeOf: (segment: number) => number): StatePart {
  const kind = json.get(5).text()
  if (kind !== 'full' && kind !== 'delta') throw json.get(5).fail('a kind of state')
  const segment = json.get(0).number()
  const byteStart = json.get(1).count()
  const byteEnd = json.get(2).count()
  if (byteEnd < byteStart || byteEnd > sizeOf(segment)) throw json.get(2).fail('within the object')
  return {
    segment,
    byteStart,
    byteEnd,
    rawBytes: json.get(3).count(),
    crc32c: json.get(4).count(),
    kind,
  }
}
