/** Names and texts as Python has them. */

/**
 * A string literal. JSON's escapes are Python's too, but for those of surrogate pairs, which JSON leaves
 * as they are.
 */
export function pythonText(text: string): string {
  return JSON.stringify(text)
}

/** An identifier; other characters than letters, digits and `_` are told by their code points. */
export function pythonName(text: string): string {
  const name = text.replaceAll(
    /[^A-Za-z0-9_]/gu,
    (char) => `_x${char.codePointAt(0)!.toString(16)}`,
  )
  return /^[0-9]/.test(name) ? `_${name}` : name
}
