/** How `sluice features verify` shows what it found. */
import type { FeatureAgreement } from '../core/connector/feature-tools.ts'
import { printTable } from './letter-format.ts'
import { count, print } from './output.ts'

/** Whether more of the keys differ than so many per cent. */
export function disagrees(
  { keys, mismatched, missing, extra }: FeatureAgreement,
  tolerance: number,
): boolean {
  return (mismatched + missing + extra) * 100 > tolerance * keys
}

export function agreementJson(agreement: FeatureAgreement): object {
  const { keys, mismatched, missing, extra } = agreement
  return {
    ...agreement,
    mismatchedPercent: percentOf(mismatched, keys),
    missingPercent: percentOf(missing, keys),
    extraPercent: percentOf(extra, keys),
  }
}

export function printAgreements(sink: string, agreements: readonly FeatureAgreement[]): void {
  printTable(
    ['sink', 'view', 'feature', 'keys', 'mismatch', 'missing', 'extra'],
    agreements.map(({ view, feature, keys, mismatched, missing, extra }) => [
      sink,
      view,
      feature,
      keys.toLocaleString('en-US'),
      percentText(mismatched, keys),
      percentText(missing, keys),
      percentText(extra, keys),
    ]),
  )
  for (const { view, feature, examples } of agreements) {
    for (const example of examples) print(`  ${view}.${feature}: ${example}`)
  }
  const unsettled = new Map(agreements.map((agreement) => [agreement.view, agreement.unsettled]))
  for (const [view, keys] of unsettled) {
    if (keys > 0) print(`  ${view}: ${count(keys, 'key')} changed at every look and were left out`)
  }
}

function percentOf(part: number, whole: number): number {
  return whole === 0 ? 0 : (part * 100) / whole
}

/** Something that differs never shows as nothing. */
function percentText(part: number, whole: number): string {
  if (part === 0) return '0 %'
  const percent = percentOf(part, whole)
  return percent < 0.01
    ? `<0.01 % (${part})`
    : `${percent.toFixed(2)} % (${part.toLocaleString('en-US')})`
}
