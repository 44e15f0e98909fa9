/**
 * Heartbeats: how far the server has read its own binlog while it has nothing to send.
 *
 *   heartbeat   = file name; the place is the header's (low 32 bits)                     type 27
 *   heartbeatV2 = { packed kind, packed length, content } packed 0                       type 41, 8.0.26 and on
 *   kind        = 1 file name · 2 packed place
 *
 * mysql-server 9.7, libs/mysql/binlog/event/control_events.h, binlog_event_data_otw codecs.
 */
import { endPlaceOf, headerBytes, typeOf } from './event-header.ts'
import { EventType, PackedReader, protocolError } from './events.ts'
import type { FilePlace } from '../place.ts'

/** source[start, end), header included. */
export function parseHeartbeat(source: Uint8Array, start: number, end: number): FilePlace {
  const at = start + headerBytes
  if (typeOf(source, start) === EventType.heartbeat) {
    return { file: nameOf(source.subarray(at, end)), offset: endPlaceOf(source, start) }
  }
  const reader = new PackedReader(source, at, end, EventType.heartbeatV2)
  let file = ''
  let offset = -1
  for (let kind = reader.packed(); kind !== 0; kind = reader.packed()) {
    const length = reader.packed()
    const content = new PackedReader(source, reader.skip(length), reader.at, EventType.heartbeatV2)
    if (kind === 1) file = nameOf(content.bytes(length))
    else if (kind === 2) offset = content.packed()
  }
  if (file === '' || offset < 0) {
    throw protocolError('does not say its place', EventType.heartbeatV2)
  }
  return { file, offset }
}

function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8')
}
