/**
 * Snapshots and hints, objects without a body (codec-object.ts). Their footers as JSON:
 *
 *   snapshot = { chain, seq, epoch, hash, timeMs, floor, position, cursors, notes,
 *                schemas: [[seq, schema]], topics: [[name, nextOffset, timeMaxUs | null, [schema id]]],
 *                state: [[key, part]], bodyBytes: 0 }
 *   hint     = { chain, snapshot: seq, floor, bodyBytes: 0 }
 *
 * state is the last full state, if any, and the deltas after it; part as in codec-commit.ts. A
 * snapshot of a seq is a function of the commits up to it: whoever writes it, it is the same.
 */
import { ChainState, type StateRef } from './chain-state.ts'
import { JsonReader, readSchema, schemaJson } from './codec-json.ts'
import { readStateJson, stateJson } from './codec-commit.ts'
import { ObjectKind, openFooter, sealObject, type ObjectPart } from './codec-object.ts'

export interface Hint {
  /** The newest snapshot; 0 when there is none. */
  readonly snapshot: number
  /** Commits before this one may be gone. */
  readonly floor: number
}

export function encodeSnapshot(state: ChainState): Uint8Array {
  const refs =
    state.stateFull === null ? state.stateDeltas : [state.stateFull, ...state.stateDeltas]
  return sealObject(ObjectKind.snapshot, [], {
    chain: state.chain,
    seq: state.seq,
    epoch: state.epoch,
    hash: state.hash,
    timeMs: state.timeMs,
    floor: state.floor,
    position: state.position,
    cursors: state.cursors,
    notes: state.notes ?? null,
    schemas: [...state.schemas.values()].map(({ schema, seq }) => [seq, schemaJson(schema)]),
    topics: [...state.topics].map(([name, topic]) => [
      name,
      topic.nextOffset,
      Number.isFinite(topic.timeMaxUs) ? topic.timeMaxUs : null,
      topic.schemas.map((schema) => schema.id),
    ]),
    state: refs.map(({ key, part }) => [key, stateJson(part)]),
    bodyBytes: 0,
  }).bytes
}

/** Throws `log.corrupt`. */
export function decodeSnapshot(part: ObjectPart, chain: string, seq: number): ChainState {
  const { json, bodyBytes } = openFooter(part, ObjectKind.snapshot)
  const reader = new JsonReader(json, part.key)
  const state = new ChainState(chain)
  if (reader.get('chain').text() !== chain) throw reader.get('chain').fail(`of chain ${chain}`)
  if (reader.get('seq').count() !== seq) throw reader.get('seq').fail(String(seq))
  if (bodyBytes !== 0) throw reader.fail('all there is')
  state.seq = seq
  state.snapshotSeq = seq
  state.epoch = reader.get('epoch').count()
  state.hash = reader.get('hash').text()
  state.timeMs = reader.get('timeMs').number()
  state.floor = reader.get('floor').count()
  state.position = reader.get('position').textOrNull()
  state.cursors = reader.get('cursors').counts()
  state.notes = reader.get('notes').value
  for (const item of reader.get('schemas').list()) {
    const schema = readSchema(item.get(1))
    state.schemas.set(schema.id, { schema, seq: item.get(0).count() })
  }
  for (const topic of reader.get('topics').list()) readTopic(topic, state)
  const refs = reader.get('state').list().map(readRef)
  const full = refs[0]?.part.kind === 'full' ? refs[0] : null
  state.stateFull = full
  state.stateDeltas = full === null ? refs : refs.slice(1)
  return state
}

export function encodeHint(chain: string, hint: Hint): Uint8Array {
  return sealObject(ObjectKind.hint, [], { chain, ...hint, bodyBytes: 0 }).bytes
}

/** Throws `log.corrupt`. */
export function decodeHint(part: ObjectPart, chain: string): Hint {
  const { json, bodyBytes } = openFooter(part, ObjectKind.hint)
  const reader = new JsonReader(json, part.key)
  if (reader.get('chain').text() !== chain) throw reader.get('chain').fail(`of chain ${chain}`)
  if (bodyBytes !== 0) throw reader.fail('all there is')
  return { snapshot: reader.get('snapshot').count(), floor: reader.get('floor').count() }
}

function readTopic(json: JsonReader, state: ChainState): void {
  const timeMaxUs = json.get(2)
  state.topics.set(json.get(0).text(), {
    nextOffset: json.get(1).count(),
    timeMaxUs: timeMaxUs.value === null ? -Infinity : timeMaxUs.number(),
    schemas: json
      .get(3)
      .list()
      .map((id) => {
        const known = state.schemas.get(id.text())
        if (known === undefined) throw id.fail('the id of a schema')
        return known.schema
      }),
  })
}

function readRef(json: JsonReader): StateRef {
  return {
    key: json.get(0).text(),
    // The size of the object that holds it is not known here; reading it will show.
    part: readStateJson(json.get(1), () => Number.MAX_SAFE_INTEGER),
  }
}
