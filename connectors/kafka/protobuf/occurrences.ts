/**
 * Occurrences: where the fields of a message are in its bytes. A field may occur anywhere, several times,
 * and the last one counts (a message's: all of them, merged), while columns take values in the order of
 * fields; so a message is looked through first and read after. Hot: flat arrays, used again.
 *
 * A frame is the fields of one message; frames are a stack, as messages are nested.
 */
import { ProtoInput } from './input.ts'
import type { ProtoField, ProtoMessage } from './model.ts'

/** No occurrence. */
export const none = -1

export class Occurrences {
  readonly input = new ProtoInput()
  /** One a payload: where it begins and ends, and its wire type; the field's next one. */
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  wires = new Uint8Array(64)
  nexts = new Int32Array(64)
  #count = 0
  /** Per frame, one a field: its first and last occurrence. */
  #firsts = new Int32Array(64)
  #lasts = new Int32Array(64)
  #top = 0

  begin(bytes: Uint8Array): void {
    this.input.begin(bytes)
    this.#count = 0
    this.#top = 0
  }

  first(frame: number, field: ProtoField): number {
    return this.#firsts[frame + field.place]!
  }

  last(frame: number, field: ProtoField): number {
    return this.#lasts[frame + field.place]!
  }

  /** A range of bytes that is no payload: the value itself. */
  whole(start: number, end: number): number {
    return this.#add(start, end, 2)
  }

  /** Looks through a message that lies in `chain`, one payload after the other; its frame. */
  open(message: ProtoMessage, chain: number): number {
    const frame = this.#top
    this.#top += message.fields.length
    if (this.#top > this.#firsts.length) this.#growFrames()
    // Mostly a few fields: a loop costs less than two calls into native code.
    for (let slot = frame; slot < this.#top; slot++) {
      this.#firsts[slot] = none
      this.#lasts[slot] = none
    }
    for (let at = chain; at !== none && this.input.fault === null; at = this.nexts[at]!) {
      this.#scan(message, this.starts[at]!, this.ends[at]!, frame)
    }
    return frame
  }

  /** Of the newest open frame: it is read. */
  close(frame: number): void {
    this.#top = frame
  }

  #scan(message: ProtoMessage, start: number, end: number, frame: number): void {
    const { input } = this
    const { fields } = message
    let expected = 0
    input.at = start
    while (input.at < end) {
      const tag = input.tag(end)
      if (input.fault !== null) return
      const number = tag >>> 3
      // Mostly fields come in the order in which they are declared.
      let field = fields[expected]
      if (field?.number !== number) field = message.byNumber.get(number)
      input.pass(tag, end)
      if (input.fault !== null) return
      const wire = tag & 7
      if (field === undefined || !takes(field, wire)) continue
      expected = field.isRepeated ? field.place : field.place + 1
      this.#chain(
        message,
        field,
        frame,
        this.#add(input.low, wire === 3 ? input.high : input.at, wire),
      )
    }
  }

  #chain(message: ProtoMessage, field: ProtoField, frame: number, at: number): void {
    const slot = frame + field.place
    if (field.oneof >= 0) {
      // Of a oneof only the member counts that came last.
      for (const other of message.fields) {
        if (other.oneof === field.oneof && other !== field) {
          this.#firsts[frame + other.place] = none
          this.#lasts[frame + other.place] = none
        }
      }
    }
    const last = this.#lasts[slot]!
    if (last === none) this.#firsts[slot] = at
    else this.nexts[last] = at
    this.#lasts[slot] = at
  }

  #add(start: number, end: number, wire: number): number {
    const at = this.#count++
    if (at === this.starts.length) this.#growPayloads()
    this.starts[at] = start
    this.ends[at] = end
    this.wires[at] = wire
    this.nexts[at] = none
    return at
  }

  #growPayloads(): void {
    this.starts = grown(this.starts, this.starts.length * 2)
    this.ends = grown(this.ends, this.ends.length * 2)
    this.nexts = grown(this.nexts, this.nexts.length * 2)
    const wires = new Uint8Array(this.wires.length * 2)
    wires.set(this.wires)
    this.wires = wires
  }

  #growFrames(): void {
    const length = Math.max(this.#firsts.length * 2, this.#top)
    this.#firsts = grown(this.#firsts, length)
    this.#lasts = grown(this.#lasts, length)
  }
}

/** A payload of another wire type is an unknown field, but for repeated numbers, which may be packed. */
function takes(field: ProtoField, wire: number): boolean {
  if (wire === field.wire) return true
  const isNumber = field.type.kind !== 'message' && field.wire !== 2
  return wire === 2 && field.isRepeated && isNumber
}

function grown(from: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length)
  to.set(from)
  return to
}
