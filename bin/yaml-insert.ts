/**
 * One more entry in a YAML file, and nothing else touched: comments, blank lines and quotes stay as their
 * author wrote them, which writing the parsed document back would not do.
 */
import { isMap, isPair, isScalar, parseDocument, type YAMLMap } from 'yaml'

/**
 * `text` with `key:` and its columns at the end of the mapping at `path`. null where that is no mapping
 * in block style, or has the key already.
 */
export function insertMapping(
  text: string,
  path: readonly string[],
  key: string,
  entries: Readonly<Record<string, string>>,
): string | null {
  const map = parseDocument(text).getIn(path, true)
  if (!isMap(map) || map.flow === true || map.has(key)) return null
  const indent = indentOf(text, map)
  const end = endOf(map)
  if (indent === null || end === null) return null
  const lineEnd = text.indexOf('\n', end - 1)
  const at = lineEnd < 0 ? text.length : lineEnd
  return `${text.slice(0, at)}\n${mappingLines(key, entries, indent).join('\n')}${text.slice(at)}`
}

/** The entry as lines of YAML, `indent` in front of each. */
export function mappingLines(
  key: string,
  entries: Readonly<Record<string, string>>,
  indent = '',
): string[] {
  const lines = Object.entries(entries).map(
    ([name, value]) => `${indent}  ${plain(name)}: ${value}`,
  )
  return [`${indent}${key}:`, ...lines]
}

/** What stands in front of the mapping's first key. */
function indentOf(text: string, map: YAMLMap): string | null {
  const first = map.items[0]
  const start = isPair(first) && isScalar(first.key) ? first.key.range?.[0] : undefined
  if (start === undefined) return null
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  return /^ *$/.test(indent) ? indent : null
}

/** Offset after the last value. */
function endOf(map: YAMLMap): number | null {
  const last = map.items.at(-1)
  if (!isPair(last)) return null
  const { key, value } = last as { key: unknown; value: unknown }
  if (isMap(value) && value.flow !== true) return endOf(value)
  const range = (value as { readonly range?: readonly number[] } | null)?.range
  const own = (key as { readonly range?: readonly number[] }).range
  return range?.[1] ?? own?.[1] ?? null
}

/** A name as YAML reads it back: in quotes unless it is one word that means nothing else. */
function plain(name: string): string {
  const isWord =
    /^[A-Za-z_][\w-]*$/.test(name) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(name)
  return isWord ? name : JSON.stringify(name)
}
