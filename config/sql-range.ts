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
    const space = /\s/.test(char)
    // More spaces than the value has are YAML's own: indentation, folding, continued lines.
    if (!space) at = skip(file, at, { char, end: node.end - 1, escapes })
    places[index] = at
    if (escapes && file[at] === '\\') at += escapeLength(file, at)
    else if (file[at] === char || (space && /\s/.test(file[at] ?? ''))) at += 1
  }
  places[value.length] = Math.min(at, node.end)
  return places
}

function skip(
  file: string,
  from: number,
  wanted: { readonly char: string; readonly end: number; readonly escapes: boolean },
): number {
  let at = from
  while (at < wanted.end && file[at] !== wanted.char && skippable(file, at, wanted.escapes)) {
    at += file[at] === '\\' ? 2 : 1
  }
  return at
}

/** Whether the file has something here that stands for no character of the value. */
function skippable(file: string, at: number, escapes: boolean): boolean {
  if (escapes && file[at] === '\\') return /[\r\n]/.test(file[at + 1] ?? '')
  return /\s/.test(file[at]!) || (!escapes && file[at] === "'")
}

/** `\x41`, `\u0041`, `\U00000041`; every other escape is one character after the backslash. */
function escapeLength(file: string, at: number): number {
  const next = file[at + 1]
  return next === 'x' ? 4 : next === 'u' ? 6 : next === 'U' ? 10 : 2
}
