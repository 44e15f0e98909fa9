/** Decimal text → scaled integer against BigInt, for every width of Decimal (invariant 9). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decimalFits, DecimalReader } from '../../../sinks/clickhouse/decimal.ts'
import { decimalBytes } from '../../../sinks/clickhouse/types.ts'

const digits = fc.stringMatching(/^[0-9]{1,80}$/)
const text = fc
  .tuple(fc.constantFrom('', '-', '+'), digits, fc.option(digits))
  .map(([sign, whole, fraction]) => `${sign}${whole}${fraction === null ? '' : `.${fraction}`}`)
const type = fc
  .integer({ min: 1, max: 76 })
  .chain((precision) => fc.record({ precision: fc.constant(precision), scale: fc.nat(precision) }))

/** value × 10^scale, or null where it has more digits than the type. */
function scaled(value: string, { precision, scale }: { precision: number; scale: number }) {
  const [, sign, whole, fraction = ''] = /^([-+]?)(\d+)(?:\.(\d+))?$/.exec(value)!
  if (/[1-9]/.test(fraction.slice(scale))) return null
  const size = BigInt(whole! + fraction.slice(0, scale).padEnd(scale, '0'))
  if (size >= 10n ** BigInt(precision)) return null
  return sign === '-' ? -size : size
}

/** Random digits rarely fit, so half the values are cut to the type. */
const cases = fc.tuple(type, text, fc.boolean()).map(([type, value, cut]) => {
  if (!cut) return { type, value }
  const [, sign, whole, fraction = ''] = /^([-+]?)(\d+)(?:\.(\d+))?$/.exec(value)!
  const kept = whole!.slice(0, Math.max(1, type.precision - type.scale))
  const shown = fraction.slice(0, type.scale)
  return { type, value: `${sign}${kept}${shown === '' ? '' : `.${shown}`}` }
})

test('fits exactly when BigInt says so, and is then the same integer', () => {
  const reader = new DecimalReader()
  fc.assert(
    fc.property(cases, ({ type, value }) => {
      const bytes = Buffer.from(`xx${value}yy`)
      const wanted = scaled(value, type)
      assert.equal(decimalFits(bytes, 2, bytes.length - 2, type), wanted !== null)
      if (wanted === null) return
      const width = decimalBytes(type.precision)
      const view = new DataView(new ArrayBuffer(40))
      reader.read(bytes, 2, bytes.length - 2, type.scale)
      reader.write(view, 4, width)
      let read = 0n
      for (let i = width - 1; i >= 0; i--) read = (read << 8n) | BigInt(view.getUint8(4 + i))
      assert.equal(BigInt.asIntN(width * 8, read), wanted)
      for (let i = 4 + width; i < 40; i++) assert.equal(view.getUint8(i), 0)
    }),
    { numRuns: 3000 },
  )
})

test('what is no plain number never fits', () => {
  const type = { precision: 76, scale: 38 }
  for (const text of ['', '-', '+', 'NaN', 'Infinity', '-Infinity', '1e5', '1.2.3', ' 1', '0x10']) {
    const bytes = Buffer.from(text)
    assert.equal(decimalFits(bytes, 0, bytes.length, type), false, text)
  }
})
