/** `sluice explain <code>`: what an error code means and what to do, as in docs/errors.md. */
import { didYouMean } from '../../core/connector/nearest.ts'
import { codes, type Code } from '../../core/errors/codes.ts'
import type { CodeEntry } from '../../core/errors/codes/table.ts'
import { faultWords } from '../../core/errors/faults.ts'
import { exitCode, paintFor, print, printError, type ExitCode } from '../output.ts'

export function explain(code: string): ExitCode {
  const names = Object.keys(codes)
  if (!Object.hasOwn(codes, code)) {
    const inside = names.filter((name) => name.startsWith(`${code}.`) || name.endsWith(`.${code}`))
    const hint = inside.length > 0 ? `there are: ${inside.join(', ')}` : didYouMean(code, names)
    printError(`there is no error code "${code}"${hint === null ? '' : `; ${hint}`}`)
    return exitCode.invalid
  }
  const entry: CodeEntry = codes[code as Code]
  const paint = paintFor(process.stdout)
  print(paint.bold(code))
  print(`  cause:   ${entry.cause}`)
  print(`  remedy:  ${entry.remedy}`)
  print(`  fault:   ${entry.fault}. ${faultWords[entry.fault]}`)
  return exitCode.ok
}
