import { z } from 'zod'

/**
 * Durations as people write them in YAML, as milliseconds.
 *
 *   duration = digits [ '.' digits ] unit      no spaces, no sign
 *   unit     = 'ms' | 's' | 'm' | 'h' | 'd'
 *
 * A bare number is refused: whether `timeout: 30` means seconds or milliseconds is a guess.
 */
const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds; null when the text is no duration or is not a whole number of milliseconds. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,15})(?:\.(\d{1,9}))?(ms|s|m|h|d)$/.exec(text)
  if (match === null) return null
  const [, whole, fraction = '', unit] = match
  // In integers: 0.1 has no exact double, and 4.35 × 1000 is 4350 only by luck.
  const scale = 10n ** BigInt(fraction.length)
  const scaled = BigInt(`${whole}${fraction}`) * BigInt(unitMs[unit as keyof typeof unitMs])
  return scaled % scale === 0n ? Number(scaled / scale) : null
}

/** The shortest text that `parseDuration` reads back as `ms`, for messages: `90s`, `1.5s`, `5m`. */
export function durationOf(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= unitMs[unit] && ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`
  }
  return ms >= 1000 ? `${ms / 1000}s` : `${ms}ms`
}

export interface DurationBounds {
  readonly minMs?: number
  readonly maxMs?: number
}

/** Schema of a duration; yields milliseconds. Give defaults as text, with `.prefault('15s')`. */
export function durationText(
  description: string,
  { minMs = 0, maxMs = 366 * unitMs.d }: DurationBounds = {},
): z.ZodType<number, string> {
  const expected = 'expected a duration with its unit, such as 250ms, 5s, 1m, 2h or 7d'
  return z
    .string({ error: expected })
    .meta({ description, examples: ['250ms', '5s', '1m', '2h', '7d'] })
    .transform((text, ctx) => {
      const ms = parseDuration(text)
      if (ms !== null && ms >= minMs && ms <= maxMs) return ms
      const message =
        ms === null
          ? expected
          : `expected a duration from ${durationOf(minMs)} to ${durationOf(maxMs)}`
      ctx.addIssue({ code: 'custom', message, input: text })
      return z.NEVER
    })
}
