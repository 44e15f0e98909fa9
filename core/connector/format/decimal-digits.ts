/**
 * Numbers as text, taken apart exactly: for those that the fast paths leave.
 *
 *   number = [ '+' | '-' ] ( digits [ '.' [ digits ] ] | '.' digits ) [ ( 'e' | 'E' ) [ sign ] digits ]
 */

/** As PostgreSQL's numeric (its documentation, 8.1.2). */
const wholeDigitsMax = 131_072
const fractionDigitsMax = 16_383

/** A number's parts: value = digits × 10^−fraction. */
export interface Digits {
  readonly negative: boolean
  readonly digits: string
  /** Digits of `digits` behind the point; negative: zeros are missing. */
  readonly fraction: number
}

/** null: the text is no number. */
export function digitsOf(text: string): Digits | null {
  const parts = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,9}))?$/.exec(text)
  if (parts === null) return null
  const [, sign, whole = '', fraction = parts[4] ?? '', , exponent = '0'] = parts
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const behind = fraction.length - Number(exponent)
  // 0e9 is 0.
  return { negative: sign === '-', digits, fraction: digits === '' ? Math.max(0, behind) : behind }
}

/** The integer that the text says, 12.0 and 1.2e1 included; null when it says none of at most 32 digits. */
export function wholeNumber(text: string): bigint | null {
  const parts = digitsOf(text)
  if (parts === null) return null
  const { digits, fraction, negative } = parts
  if (digits === '' || /^0*$/.test(digits)) return 0n
  if (digits.length - fraction > 32 || fraction > digits.length) return null
  const cut = fraction > 0 ? digits.length - fraction : digits.length
  if (/[1-9]/.test(digits.slice(cut))) return null
  const value = BigInt(`${digits.slice(0, cut)}${'0'.repeat(Math.max(0, -fraction))}`)
  return negative ? -value : value
}

/** Plain digits without exponent, `fraction` digits behind the point kept; null when there are too many. */
export function plainDigits({ negative, digits, fraction }: Digits): string | null {
  const behind = Math.max(0, fraction)
  if (digits.length - fraction > wholeDigitsMax || behind > fractionDigitsMax) return null
  const all = `${digits}${digits === '' ? '' : '0'.repeat(Math.max(0, -fraction))}`.padStart(
    behind + 1,
    '0',
  )
  const text = behind === 0 ? all : `${all.slice(0, -behind)}.${all.slice(-behind)}`
  return negative && /[1-9]/.test(digits) ? `-${text}` : text
}
