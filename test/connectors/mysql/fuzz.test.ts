/**
 * Broken events: each recorded event cut at every byte, and with bits flipped (checksums off), after the
 * events before it. A typed error or rows; never an over-read, never a loop without end. Attacks
 * invariant 5: bytes that cannot be read stop the stream, they are not passed over.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Decoder } from '../../../connectors/mysql/binlog/decode.ts'
import { SluiceError } from '../../../core/errors/error.ts'
import {
  binlogFile,
  databasesOf,
  decoderFor,
  eventsOf,
  feed,
  FileDirectory,
  isTyped,
  placeOf,
  recording,
  rotateTo,
} from './binlog-files.ts'

const files = [
  'mysql-9.7-full',
  'mysql-9.7-minimal',
  'mysql-9.7-compressed',
  'mysql-9.7-tagged',
  'mysql-9.7-json-full',
  'mysql-9.7-json-minimal',
  'mysql-9.7-xa',
  'mariadb-11.8-compressed',
  'mariadb-11.8-xa',
  'mariadb-10.11-minimal',
  'mysql-8.0',
  'mysql-5.7-update',
] as const
/** Broken forms of one event, at most. */
const formsMax = 60

const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)
let state = seed
function random(below: number): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return state % below
}

/** Without checksums: the format event says so, and every other loses its last four bytes. */
function withoutChecksums(file: Buffer): Buffer[] {
  const events = [...eventsOf(file)]
  const [format] = events
  const algorithm = format!.length - 5
  if (format![algorithm] === 0) return events
  format![algorithm] = 0
  return events.map((event, i) => {
    if (i === 0) return event
    const shorter = Buffer.from(event.subarray(0, -4))
    shorter.writeUInt32LE(shorter.length, 9)
    return shorter
  })
}

/** One of each kind, and of each kind of statement. */
function kindsOf(events: readonly Buffer[]): readonly number[] {
  const seen = new Set<string>()
  return events.flatMap((event, i) => {
    const kind = event[4] === 2 ? `2 ${event.subarray(-12).toString('latin1')}` : String(event[4])
    if (seen.has(kind)) return []
    seen.add(kind)
    return [i]
  })
}

for (const name of files) {
  test(`${name}: events cut short or with a bit flipped end in a typed error or in rows`, async () => {
    const events = withoutChecksums(binlogFile(name))
    const recorded = recording(name)
    const fresh = async (upTo: number): Promise<Decoder> => {
      const decoder = decoderFor(new FileDirectory(databasesOf(recorded), recorded), {
        ...placeOf(recorded),
        gtids: recorded.gtids === '' ? null : recorded.gtids,
      })
      await feed(decoder, rotateTo('binlog.000002'))
      for (const event of events.slice(0, upTo)) await feed(decoder, event)
      return decoder
    }
    let errors = 0
    for (const place of kindsOf(events)) {
      const event = events[place]!
      const step = Math.max(1, Math.floor(event.length / (formsMax / 2)))
      for (let cut = 0; cut < event.length; cut += cut < 60 ? 1 : step) {
        const short = Buffer.from(event.subarray(0, cut))
        if (cut >= 13) short.writeUInt32LE(cut, 9)
        errors += await attempt(await fresh(place), short, `${place} cut at ${cut}`)
      }
      for (let i = 0; i < formsMax; i++) {
        const flipped = Buffer.from(event)
        const bit = random((event.length - 13) * 8)
        flipped[13 + (bit >> 3)]! ^= 1 << (bit & 7)
        errors += await attempt(await fresh(place), flipped, `${place} bit ${bit}`)
      }
    }
    assert.ok(errors > 50, `only ${errors} errors`)
  })
}

/** 1 for an error. `event` stands in a larger buffer: what is read beyond its end would be noticed. */
async function attempt(decoder: Decoder, event: Buffer, what: string): Promise<number> {
  const inside = Buffer.alloc(event.length + 64, 0xa5)
  event.copy(inside)
  const startedUs = process.cpuUsage().user
  try {
    await feed(decoder, inside.subarray(0, event.length))
    decoder.flush()
    return 0
  } catch (error) {
    const isDirectory = error instanceof TypeError && error.message.includes('as it was recorded')
    const code = error instanceof SluiceError ? error.code : 'none'
    assert.ok(isTyped(error) || isDirectory, `${what}, seed ${seed}: ${String(error)} ${code}`)
    return 1
  } finally {
    // Of the processor: the machine may stand still.
    assert.ok(process.cpuUsage().user - startedUs < 20e6, `${what}, seed ${seed}: takes for ever`)
  }
}

test('a wrong checksum is a transient error, so that the event is read again', async () => {
  const recorded = recording('mysql-9.7-full')
  const events = [...eventsOf(binlogFile('mysql-9.7-full'))]
  const decoder = decoderFor(new FileDirectory(['shop'], recorded), placeOf(recorded))
  for (const event of events.slice(0, 4)) await feed(decoder, event)
  const broken = Buffer.from(events[4]!)
  broken[30]! ^= 1
  await assert.rejects(feed(decoder, broken), { code: 'source.mysql.checksum', fault: 'transient' })
})
