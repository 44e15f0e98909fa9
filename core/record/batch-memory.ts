/**
 * Gives the memory of a batch back at once. V8 counts memory outside its heap as pressure on the heap: on a small one
 * each ten megabytes of columns that nobody needs any more make it mark everything else (measured on a stream of
 * 200-byte records: two fifths of the processor time of the whole process).
 */
import type { Batch } from './batch.ts'
import type { Column } from './column.ts'

/** Below this the call costs more than the garbage. */
const worthBytes = 4096

/** Nobody may look at the batch afterwards, nor at anything that shares its buffers: they are empty then. */
export function freeBatch({ columns, weights, ops, timesUs }: Batch): void {
  freeMemory(weights)
  freeMemory(ops)
  freeMemory(timesUs)
  for (const column of columns) freeColumn(column)
}

/** As `freeBatch`, for all of the memory that the array looks at a part of. */
export function freeMemory({ buffer }: ArrayBufferView): void {
  const memory = buffer as Transferable
  if (memory.byteLength >= worthBytes) memory.transfer(0)
}

function freeColumn(column: Column): void {
  if (column.validity !== null) freeMemory(column.validity)
  switch (column.encoding) {
    case 'bytes':
      freeMemory(column.offsets)
      return freeMemory(column.data)
    case 'dictionary':
      freeMemory(column.codes)
      return freeColumn(column.dictionary)
    case 'fixed16':
      return freeMemory(column.data)
    case 'list':
      freeMemory(column.offsets)
      return freeColumn(column.child)
    default:
      return freeMemory(column.values)
  }
}

/** ES2024, which Node has had since 21. */
type Transferable = ArrayBuffer & { transfer(bytes: number): ArrayBuffer }
