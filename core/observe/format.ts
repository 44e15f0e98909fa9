/**
 * Numbers and texts as people read them in a status line: short, with their unit, never wider than 8
 * characters, and without anything that moves the cursor.
 */

/** `0`, `950`, `12.3k`, `4.56M`. */
export function shortCount(count: number): string {
  if (count < 1000)
    return count < 10 && count % 1 !== 0 ? count.toFixed(1) : String(Math.round(count))
  for (const [unit, size] of [
    ['k', 1e3],
    ['M', 1e6],
    ['G', 1e9],
    ['T', 1e12],
  ] as const) {
    // 999.95k would round to 1000k.
    if (count < size * 999.5) return `${threeDigits(count / size)}${unit}`
  }
  return `${Math.round(count / 1e12)}T`
}

/** `12 ms`, `1.5 s`, `3 m`, `2 h`, `5 d`; `-` when unknown. */
export function shortDuration(ms: number | null): string {
  if (ms === null) return '-'
  const positive = Math.max(0, ms)
  if (positive < 999.5) return `${Math.round(positive)} ms`
  if (positive < 59_950) return `${(positive / 1000).toFixed(1)} s`
  if (positive < 3_600_000) return `${Math.floor(positive / 60_000)} m`
  if (positive < 86_400_000) return `${Math.floor(positive / 3_600_000)} h`
  return `${Math.floor(positive / 86_400_000)} d`
}

/** `512 B`, `1.5 KiB`; `-` when unknown. */
export function shortBytes(bytes: number | null): string {
  if (bytes === null) return '-'
  if (bytes < 1024) return `${Math.round(bytes)} B`
  let value = bytes
  let unit = 'B'
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1023.5) break
    value /= 1024
    unit = next
  }
  return `${threeDigits(value)} ${unit}`
}

function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Messages may come from servers; a line stays a line, and no escape sequence gets through. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
