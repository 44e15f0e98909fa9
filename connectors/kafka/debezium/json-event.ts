/** JsonEvents: change events in JSON, with their schema beside them or without. */
import { latin1 } from '../../../core/connector/format/cell.ts'
import type { ReadFault } from '../../../core/connector/format/format.ts'
import { JsonMembers } from '../../../core/connector/format/json-ranges.ts'
import {
  endsHere,
  jsonProblem,
  letterN,
  openBrace,
  quote,
  skipBlanks,
} from '../../../core/connector/format/json-scan.ts'
import type { ConnectType } from './connect-type.ts'
import {
  dialectOf,
  isBeside,
  messageLetter,
  noEvent,
  type Begun,
  type EventReader,
  type Part,
} from './event-reader.ts'
import { InlineSchemas } from './inline-schemas.ts'
import { JsonRow } from './json-row.ts'
import type { RowInto } from './row-into.ts'
import { shapeOfFields, type RowShape } from './row-shape.ts'
import type { DebeziumTopic } from './topic.ts'

/** What a schema beside a value is the schema of. */
type Described = RowShape | 'passed' | 'nothing'

const names = {
  before: 0,
  after: 1,
  source: 2,
  op: 3,
  ts_ms: 4,
  status: 5,
  id: 6,
  ddl: 7,
  databaseName: 8,
  event_count: 9,
  tableChanges: 10,
} as const

const heartbeatBytesMax = 200
const heartbeat = /^\{\s*"ts_ms"\s*:\s*\d+\s*(,\s*"ts_[un]s"\s*:\s*\d+\s*)*\}\s*$/

export class JsonEvents implements EventReader {
  op = 0
  timeUs = NaN
  shape: RowShape | null = null
  readonly #topic: DebeziumTopic
  readonly #schemas: InlineSchemas<Described>
  readonly #rows: JsonRow
  readonly #members = new JsonMembers(Object.keys(names))
  readonly #source = new JsonMembers(['ts_us', 'ts_ms'])
  #bytes: Uint8Array = new Uint8Array(0)
  /** Of the payload. */
  #start = 0
  #end = 0

  constructor(topic: DebeziumTopic) {
    this.#topic = topic
    this.#rows = new JsonRow(topic.placeholder)
    this.#schemas = new InlineSchemas((schema) => this.#describedBy(schema))
  }

  begin(bytes: Uint8Array, start: number, end: number): Begun {
    const schemas = this.#schemas
    const described = schemas.open(bytes, start, end)
    if (described === 'passed') return 'passed'
    this.#bytes = bytes
    this.op = 0
    this.timeUs = NaN
    this.shape = typeof described === 'string' ? null : (described ?? this.#givenShape())
    if (schemas.isPresent && bytes[schemas.start] === letterN) return 'tombstone'
    this.#start = skipBlanks(bytes, schemas.start, schemas.end)
    this.#end = schemas.end
    const { unwrapped } = this.#topic.settings
    // A bare row is read only once, and what is no JSON is found then.
    if (unwrapped && this.shape !== null) return 'event'
    const fault = this.#members.find(bytes, this.#start, this.#end)
    if (fault !== null) return fault
    if (!unwrapped) return this.#beginEnvelope(bytes)
    return this.#isBeside() ? 'passed' : 'event'
  }

  /** The columns of the pipeline file are all only where events say none: they may be a few of many. */
  #givenShape(): RowShape | null {
    return this.#schemas.isPresent || this.#schemas.hasMet ? null : this.#topic.given
  }

  has(part: Part): boolean {
    if (this.op === 0) return part === 'after'
    return this.#members.has(part === 'before' ? names.before : names.after, this.#bytes)
  }

  row(part: Part, into: RowInto): ReadFault | null {
    if (this.op === 0) {
      const fault = this.#rows.read(this.shape!, this.#bytes, this.#start, this.#end, into)
      if (fault !== null || endsHere(this.#bytes, this.#rows.end, this.#end)) return fault
      return { field: null, message: `not JSON: ${jsonProblem(this.#start)}` }
    }
    const { starts, ends } = this.#members
    const which = part === 'before' ? names.before : names.after
    return this.#rows.read(this.shape!, this.#bytes, starts[which]!, ends[which]!, into)
  }

  #beginEnvelope(bytes: Uint8Array): Begun {
    const members = this.#members
    const at = members.starts[names.op]!
    if (at < 0 || bytes[at] !== quote || members.ends[names.op]! - at !== 3) {
      return this.#isBeside() ? 'passed' : noEvent
    }
    this.op = bytes[at + 1]!
    if (this.op === messageLetter) return 'passed'
    if (members.has(names.source, bytes)) this.#readTime(bytes)
    return this.#isObject(names.before) && this.#isObject(names.after) ? 'event' : noEvent
  }

  #isObject(which: number): boolean {
    const { starts } = this.#members
    return !this.#members.has(which, this.#bytes) || this.#bytes[starts[which]!] === openBrace
  }

  /** Of a transaction, a change of a schema, a heartbeat: members that no row has by themselves. */
  #isBeside(): boolean {
    const { starts } = this.#members
    const is = (which: number): boolean => starts[which]! >= 0
    if (is(names.before) || is(names.after) || is(names.op)) {
      // Unwrapped rows come with messages that keep their envelope.
      const at = starts[names.op]!
      return at >= 0 && this.#bytes[at + 1] === messageLetter && is(names.source)
    }
    if (is(names.event_count)) return is(names.status) && is(names.id)
    return is(names.ddl) ? is(names.databaseName) && is(names.source) : this.#isHeartbeat()
  }

  /** Nothing but times. */
  #isHeartbeat(): boolean {
    if (this.#end - this.#start > heartbeatBytesMax) return false
    return heartbeat.test(latin1(this.#bytes, this.#start, this.#end))
  }

  #readTime(bytes: Uint8Array): void {
    const source = this.#source
    const { starts, ends } = this.#members
    if (source.find(bytes, starts[names.source]!, ends[names.source]!) !== null) return
    const which = source.has(0, bytes) ? 0 : 1
    if (!source.has(which, bytes)) return
    const count = Number(latin1(bytes, source.starts[which]!, source.ends[which]!))
    this.timeUs = which === 0 ? count : count * 1000
  }

  #describedBy(schema: ConnectType): Described {
    if (isBeside(schema.name)) return 'passed'
    const { settings } = this.#topic
    if (settings.unwrapped) {
      return schema.kind === 'struct'
        ? (shapeOfFields(schema.fields, this.#topic.shapeOptions(null)) ?? 'nothing')
        : 'nothing'
    }
    const typeOf = (name: string): ConnectType | null =>
      schema.fields.find((field) => field.name === name)?.type ?? null
    const row = typeOf('after') ?? typeOf('before')
    if (row?.kind !== 'struct') return 'nothing'
    const dialect = dialectOf(typeOf('source')?.name ?? '')
    return shapeOfFields(row.fields, this.#topic.shapeOptions(dialect)) ?? 'nothing'
  }
}
