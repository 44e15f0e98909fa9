/** Entity values as JSON, out of an entity key (../layout/entity-key.ts gives the grammar). */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const numberTypes = { int32: 3, int64: 4, unixTimestamp: 8 } as const
const stringType = 2

/** One JSON text per entity, in the order of the key; null where JSON cannot carry it. */
export function entityValues(key: Uint8Array, from: number, end: number): (string | null)[] {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength)
  const count = view.getUint32(from, true)
  let at = from + 4
  for (let i = 0; i < count; i++) at += 8 + view.getUint32(at + 4, true)
  const values: (string | null)[] = []
  while (at < end) {
    const type = view.getUint32(at, true)
    const length = view.getUint32(at + 4, true)
    const start = at + 8
    at = start + length
    if (type === stringType) {
      values.push(JSON.stringify(decoder.decode(key.subarray(start, at))))
    } else if (type === numberTypes.int32) {
      values.push(String(view.getInt32(start, true)))
    } else if (type === numberTypes.int64 || type === numberTypes.unixTimestamp) {
      values.push(view.getBigInt64(start, true).toString())
    } else values.push(null)
  }
  return values
}
