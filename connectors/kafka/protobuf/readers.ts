/** One column of one message: from the payloads of its field into the column's builder. */
import type { AnyBuilder, Fixed16Builder, NumberBuilder } from '../../../core/record/builder.ts'
import type { BytesBuilder } from '../../../core/record/bytes-builder.ts'
import type { ListBuilder } from '../../../core/record/list-builder.ts'
import { JsonOut } from '../json-out.ts'
import type { ProtoStep } from './columns.ts'
import { readInteger, writeField } from './json.ts'
import type { ProtoField, ProtoMessage } from './model.ts'
import { none, type Occurrences } from './occurrences.ts'
import {
  appendDefault,
  appendDuration,
  appendPlain,
  appendTimestamp,
  isDuration,
  isTimestamp,
} from './scalars.ts'

const json = new JsonOut()

/** `frame`: of the step's message. After a fault the builder may lack its value. */
export function readStep(
  occurrences: Occurrences,
  step: ProtoStep,
  frame: number,
  builder: AnyBuilder,
): void {
  const { field } = step
  if (field === null) {
    if (step.absent === null) builder.appendNull()
    else appendAbsent(step.absent, builder)
    return
  }
  const first = occurrences.first(frame, field)
  if (first === none && field.isRequired)
    return occurrences.input.fail('it is required and not there')
  if (first === none && field.hasPresence) return builder.appendNull()
  if (!step.fits) return occurrences.input.fail('it is of a type that its column does not take')
  if (step.column.kind === 'json') return readJson(occurrences, field, frame, builder)
  if (field.isRepeated) return readList(occurrences, field, first, builder)
  readSingular(occurrences, field, frame, builder)
}

function appendAbsent(field: ProtoField, builder: AnyBuilder): void {
  if (field.isMap) (builder as BytesBuilder).appendString('{}')
  else if (!field.isRepeated && field.type.kind !== 'message') appendDefault(field.type, builder)
  else if (field.type.kind === 'message') (builder as BytesBuilder).appendString('[]')
  else (builder as ListBuilder).endList()
}

function readJson(
  occurrences: Occurrences,
  field: ProtoField,
  frame: number,
  builder: AnyBuilder,
): void {
  json.end = 0
  writeField(occurrences, field, frame, json, 0)
  if (occurrences.input.fault === null) json.appendTo(builder as BytesBuilder)
}

/** Packed and not, in one list, as they come. */
function readList(
  occurrences: Occurrences,
  { type, wire }: ProtoField,
  first: number,
  builder: AnyBuilder,
): void {
  const list = builder as ListBuilder<AnyBuilder>
  const { input } = occurrences
  if (type.kind === 'message') return
  for (let at = first; at !== none && input.fault === null; at = occurrences.nexts[at]!) {
    const end = occurrences.ends[at]!
    input.at = occurrences.starts[at]!
    if (wire === 2 || occurrences.wires[at] !== 2) appendPlain(input, type, list.child, end)
    else {
      while (input.at < end && input.fault === null) appendPlain(input, type, list.child, end)
    }
  }
  list.endList()
}

function readSingular(
  occurrences: Occurrences,
  field: ProtoField,
  frame: number,
  builder: AnyBuilder,
): void {
  const { type } = field
  if (type.kind === 'message') return readMessage(occurrences, type.message, frame, field, builder)
  const last = occurrences.last(frame, field)
  if (last === none) return appendDefault(type, builder)
  occurrences.input.at = occurrences.starts[last]!
  appendPlain(occurrences.input, type, builder, occurrences.ends[last]!)
}

/** A wrapper, a Timestamp or a Duration. */
function readMessage(
  occurrences: Occurrences,
  message: ProtoMessage,
  outer: number,
  field: ProtoField,
  builder: AnyBuilder,
): void {
  const { input } = occurrences
  const frame = occurrences.open(message, occurrences.first(outer, field))
  if (input.fault === null) {
    if (message.wellKnown === 'wrapper') {
      readSingular(occurrences, message.fields[0]!, frame, builder)
    } else {
      const seconds = readInteger(occurrences, message.fields[0]!, frame)
      const nanos = Number(BigInt.asIntN(32, readInteger(occurrences, message.fields[1]!, frame)))
      if (message.wellKnown === 'Timestamp') {
        if (isTimestamp(seconds, nanos)) appendTimestamp(builder as NumberBuilder, seconds, nanos)
        else input.fail('a Timestamp is out of range')
      } else if (isDuration(seconds, nanos)) {
        appendDuration(builder as Fixed16Builder, seconds, nanos)
      } else input.fail('a Duration is out of range')
    }
  }
  occurrences.close(frame)
}
