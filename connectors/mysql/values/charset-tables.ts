/**
 * The servers' own tables of legacy character sets, unpacked on first use. They differ from what the
 * same names mean elsewhere (latin1 is cp1252 with five more characters, big5, euckr and sjis have
 * extensions of their own), so an engine's TextDecoder would change characters without a word.
 *
 *   blob    = brotli of the high bytes, then the low bytes, of all tables one after the other
 *   table   = code points in the order of its layout, each as the difference to the one before
 *             (modulo 2^16, from 0); 0 = no character, but for the byte 0 itself
 *
 *   layout 'plain'  lead 0x81 … 0xfe × trail 0x40 … 0xfe
 *   layout 'euc'    lead 0xa1 … 0xfe × trail 0xa1 … 0xfe; with a byte 0x8f before them in tables of three
 *   layout 'sjis'   120 rows × 94 cells of JIS, folded into lead and trail as Shift_JIS does
 */
import { brotliDecompressSync } from 'node:zlib'
import { multiByteTables, singleByteNames, singleByteTables } from './charset-data.generated.ts'

/** Code points by byte, by name. */
let singles: ReadonlyMap<string, Uint16Array> | null = null
let multis: ReadonlyMap<string, Uint16Array> | null = null

const layouts = [
  ['gb18030', 'plain'],
  ['gbk', 'plain'],
  ['gb2312', 'euc'],
  ['big5', 'plain'],
  ['euckr', 'plain'],
  ['ujis', 'euc'],
  ['ujis 8f', 'euc'],
  ['eucjpms', 'euc'],
  ['eucjpms 8f', 'euc'],
  ['sjis', 'sjis'],
  ['cp932', 'sjis'],
] as const

type Layout = (typeof layouts)[number][1]
const cells: Readonly<Record<Layout, number>> = { plain: 126 * 191, euc: 94 * 94, sjis: 120 * 94 }

/** Code points by byte; 0 where the set has none, or where more bytes follow. null: no such set. */
export function singleByteTable(name: string): Uint16Array | null {
  if (singles === null) {
    const all = unpack(
      singleByteTables,
      singleByteNames.map(() => 256),
    )
    singles = new Map(singleByteNames.map((each, i) => [each, all[i]!]))
  }
  return singles.get(name) ?? null
}

/** Code points by lead × 256 + trail; `ujis 8f` is the table after that byte. null: no such set. */
export function doubleByteTable(name: string): Uint16Array | null {
  if (multis === null) {
    const all = unpack(
      multiByteTables,
      layouts.map(([, layout]) => cells[layout]),
    )
    multis = new Map(layouts.map(([each, layout], i) => [each, spread(all[i]!, layout)]))
  }
  return multis.get(name) ?? null
}

function unpack(blob: string, lengths: readonly number[]): Uint16Array[] {
  const planes = brotliDecompressSync(Buffer.from(blob, 'base64'))
  const half = planes.length / 2
  let at = 0
  return lengths.map((length) => {
    const table = new Uint16Array(length)
    let code = 0
    for (let i = 0; i < length; i++, at++) {
      code = (code + (planes[at]! << 8) + planes[half + at]!) & 0xffff
      table[i] = code
    }
    return table
  })
}

function spread(packed: Uint16Array, layout: Layout): Uint16Array {
  const table = new Uint16Array(0x10000)
  for (let i = 0; i < packed.length; i++) table[placeOf(i, layout)] = packed[i]!
  return table
}

/** Lead × 256 + trail of a cell. */
function placeOf(cell: number, layout: Layout): number {
  if (layout === 'plain') return (0x81 + Math.floor(cell / 191)) * 256 + 0x40 + (cell % 191)
  const row = Math.floor(cell / 94)
  const column = cell % 94
  if (layout === 'euc') return (0xa1 + row) * 256 + 0xa1 + column
  // Two rows share a lead byte; 0xa0 … 0xdf is left to single bytes, and 0x7f to nobody.
  const pair = row >> 1
  const lead = pair < 31 ? 0x81 + pair : 0xe0 + pair - 31
  const trail = (row & 1) === 1 ? 0x9f + column : 0x40 + column + (column >= 63 ? 1 : 0)
  return lead * 256 + trail
}
