/**
 * `{ url: ${env.X} }` is not YAML: inside `{…}` and `[…]` an unquoted text may hold no braces and no
 * commas. People write it all the same, and it can only mean one thing. So before parsing, the
 * characters of each `${…}` that mean something to YAML are swapped for private-use characters that
 * occur nowhere in the file, and swapped back in every text and key after it. Lengths stay the same,
 * so that every offset stays true, and no value is put in: resolving happens on parsed scalars.
 */
const shielded = '{}[],:#&*!|>%@`?'
const firstPrivate = 0xe000
const lastPrivate = 0xf8ff

export interface Shield {
  readonly text: string
  readonly restore: (text: string) => string
}

export function shieldReferences(text: string): Shield {
  const free = freeCharacters(text)
  if (!text.includes('${') || free === null) return { text, restore: (value) => value }
  const swapped = text.replace(/\$\{[^{}"'\r\n]*\}/g, (reference) => {
    let safe = ''
    for (const char of reference) {
      const index = shielded.indexOf(char)
      safe += index < 0 ? char : free[index]!
    }
    return safe
  })
  const back = new Map(Array.from(free, (char, index) => [char, shielded[index]!]))
  const pattern = new RegExp(`[${free}]`, 'g')
  return {
    text: swapped,
    restore: (value) => value.replace(pattern, (char) => back.get(char)!),
  }
}

/** As many private-use characters as are needed, in a row, none of which the text holds. */
function freeCharacters(text: string): string | null {
  const used = new Set(text.match(/[\ue000-\uf8ff]/g))
  for (let code = firstPrivate; code + shielded.length <= lastPrivate; code++) {
    const run = Array.from(shielded, (_, index) => String.fromCharCode(code + index))
    if (run.every((char) => !used.has(char))) return run.join('')
  }
  return null
}
