/** Texts of records: checked before they are called so. No view, no string, no allocation a value. */
import { isUtf8 } from '../../core/connector/format/cell-text.ts'
import type { BytesBuilder } from '../../core/record/bytes-builder.ts'

/** Appends bytes[start, end) if they are UTF-8; otherwise returns false and appends nothing. */
export function appendText(
  builder: BytesBuilder,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (builder.appendAscii(bytes, start, end)) return true
  if (!isUtf8(bytes, start, end)) return false
  builder.append(bytes, start, end)
  return true
}
