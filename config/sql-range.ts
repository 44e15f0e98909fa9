/**
 * From a place in a transform's SQL to its place in the YAML file. Between the two lie YAML's own
 * rules (indentation stripped from block texts, lines folded, quotes escaped) and references; both
 * texts are walked side by side, so that every style of scalar is mapped by the same few lines.
 */
import { rawOffset } from './document.ts'
import type { FileRange } from './pipeline.ts'
import type { Piece } from './references.ts'
import type { SourceText } from './source-text.ts'
import type { ScalarNode } from './tree.ts'

export function sqlRange(
  source: SourceText,
  node: ScalarNode,
  pieces: readonly Piece[],
): (start: number, end: number) => FileRange {
  let places: Int32Array | null = null
  return (start, end) => {
    places ??= align(source.text, node)
    const first = placeOf(places, rawOffset(pieces, Math.max(0, start)))
    const last = placeOf(places, rawOffset(pieces, Math.max(start, end - 1)))
    const { line, col } = source.place(first)
    return { file: source.file, line, col, frame: source.frame(first, Math.max(first, last) + 1) }
  }
}

function placeOf(places: Int32Array, offset: number): number {
  return places[Math.min(offset, places.length - 1)]!
}

/** For every character of the scalar's value (and its end) the offset in the file. */
function align(file: string, node: ScalarNode): Int32Array {
  const value = String(node.value)
  const places = new Int32Array(value.length + 1)
  let at = node.start
  // The header of a block text (`|2-  # comment`) is a line of its own.
  if (node.style === 'block') at = file.indexOf('\n', at) + 1
  else if (node.style === 'quoted') at += 1
  const escapes = node.style === 'quoted' && file[node.start] === '"'
  for (let index = 0; index < value.length; index++) {
    const char = value[index]!
    if (/\s/.test(char)) {
      places[index] = at
      if (/\s/.test(file[at] ?? '')) at += 1
      continue
    }
    while (at < node.end - 1 && file[at] !== char && skippable(file, at, escapes)) {
      at += escapes && file[at] === '\\' ? Math.max(1, escapeLength(file, at, char)) : 1
    }
    places[index] = at
    if (at < node.end - 1) at += 1
  }
  places[value.length] = Math.min(at, node.end)
  return places
}

function skippable(file: string, at: number, escapes: boolean): boolean {
  return /\s/.test(file[at]!) || file[at] === "'" || (escapes && file[at] === '\\')
}

/** `\"` and `\\` are followed by the character itself; `\n`, `\x41` and their like stand for another. */
function escapeLength(file: string, at: number, wanted: string): number {
  const next = file[at + 1]
  if (next === wanted) return 1
  return next === 'x' ? 3 : next === 'u' ? 5 : next === 'U' ? 9 : 2
}
