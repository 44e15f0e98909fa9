/** Rates in the pipeline file: so many requests a second, a minute or an hour. */
import { z } from 'zod'

const unitSeconds = { s: 1, m: 60, h: 3600 } as const

/** Schema of a rate; yields requests a second. An editor's schema knows the text, the program the number. */
export function rateText(
  description: string,
  examples: readonly string[],
): z.ZodType<number, string> {
  const expected = 'expected requests per time, such as 50/s, 300/m or 1000/h'
  return z
    .string({ error: expected })
    .regex(/^[1-9]\d{0,6}\/(?:s|m|h)$/, expected)
    .transform((text) => {
      const [count = '', unit = 's'] = text.split('/')
      return Number(count) / unitSeconds[unit as keyof typeof unitSeconds]
    })
    .meta({ description, examples: [...examples] })
}
