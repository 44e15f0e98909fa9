import { z } from 'zod'

/**
 * Sizes as people write them in YAML, as bytes.
 *
 *   size = digits [ '.' digits ] unit          no spaces, no sign
 *   unit = 'B' | 'kB' | 'MB' | 'GB' | 'KiB' | 'MiB' | 'GiB'
 *
 * kB, MB and GB are powers of 1000, KiB, MiB and GiB powers of 1024 (IEC 80000-13).
 */
const unitBytes = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
} as const

/** Bytes; null when the text is no size or is not a whole number of bytes. */
export function parseSize(text: string): number | null {
  const match = /^(\d{1,15})(?:\.(\d{1,9}))?(B|kB|MB|GB|KiB|MiB|GiB)$/.exec(text)
  if (match === null) return null
  const [, whole, fraction = '', unit] = match
  const scale = 10n ** BigInt(fraction.length)
  const scaled = BigInt(`${whole}${fraction}`) * BigInt(unitBytes[unit as keyof typeof unitBytes])
  const bytes = Number(scaled / scale)
  return scaled % scale === 0n && Number.isSafeInteger(bytes) ? bytes : null
}

/** The shortest text that `parseSize` reads back as `bytes`, for messages. */
export function sizeOf(bytes: number): string {
  for (const unit of ['GiB', 'GB', 'MiB', 'MB', 'KiB', 'kB'] as const) {
    if (bytes >= unitBytes[unit] && bytes % unitBytes[unit] === 0)
      return `${bytes / unitBytes[unit]}${unit}`
  }
  return `${bytes}B`
}

export interface SizeBounds {
  readonly minBytes?: number
  readonly maxBytes?: number
}

/** Schema of a size; yields bytes. Give defaults as text, with `.prefault('4MiB')`. */
export function sizeText(
  description: string,
  { minBytes = 0, maxBytes = 2 ** 40 }: SizeBounds = {},
): z.ZodType<number, string> {
  const expected = 'expected a size with its unit, such as 64kB, 4MiB or 1GiB'
  return z
    .string({ error: expected })
    .meta({ description, examples: ['64kB', '4MiB', '1GiB'] })
    .transform((text, ctx) => {
      const bytes = parseSize(text)
      if (bytes !== null && bytes >= minBytes && bytes <= maxBytes) return bytes
      const message =
        bytes === null
          ? expected
          : `expected a size from ${sizeOf(minBytes)} to ${sizeOf(maxBytes)}`
      ctx.addIssue({ code: 'custom', message, input: text })
      return z.NEVER
    })
}
