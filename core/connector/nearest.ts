/**
 * The name somebody probably meant: the candidate with the smallest edit distance (insert, delete,
 * replace, swap of neighbours), when it is near enough not to be a coincidence.
 */
const lengthMax = 64

/** The nearest candidate, or null when none is near. The word itself before all others, then ties go to the first. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  if (candidates.includes(word)) return word
  if (word.length > lengthMax) return null
  const lower = word.toLowerCase()
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    if (candidate.length > lengthMax) continue
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** `did you mean "tables"?`, or null. */
export function didYouMean(word: string, candidates: readonly string[]): string | null {
  const found = nearest(word, candidates)
  return found === null ? null : `did you mean "${found}"?`
}

/** A table of a database or a schema, whichever the server calls it; null = all its tables. */
export interface TableWanted {
  readonly space: string
  readonly name: string | null
}

/** The names that a server has; each is asked for only when needed. */
export interface TableNames {
  spaces(): Promise<readonly string[]>
  tables(space: string): Promise<readonly string[]>
}

/** The table that was probably meant by one that is not there, or null. Throws what `names` throws. */
export async function nearestTable(
  { space, name }: TableWanted,
  names: TableNames,
): Promise<TableWanted | null> {
  const near = nearest(space, await names.spaces())
  if (near === null) return null
  if (name === null) return near === space ? null : { space: near, name }
  const table = nearest(name, await names.tables(near))
  return table === null ? null : { space: near, name: table }
}

/** Restricted Damerau-Levenshtein distance, three rows at a time. */
function editDistance(a: string, b: string): number {
  let beforeLast = new Uint16Array(b.length + 1)
  let last = Uint16Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = new Uint16Array(b.length + 1)
    row[0] = i
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, replaced)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1)
      }
      row[j] = distance
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
