/** `sluice validate`: everything that can be known about a pipeline file without a network. */
import { codeOf, count, exitCode, print, printProblems, type ExitCode } from '../output.ts'
import { loadChecked } from '../load.ts'

export interface ValidateOptions {
  readonly format: 'human' | 'json'
}

export async function validate(file: string, options: ValidateOptions): Promise<ExitCode> {
  const { problems, outline } = await loadChecked(file, true)
  const code = codeOf(problems)
  if (options.format === 'json') {
    print(JSON.stringify({ file, ok: code === exitCode.ok, problems }, null, 2))
    return code
  }
  printProblems(problems)
  if (code === exitCode.ok) {
    const transforms = count(outline?.transforms.length ?? 0, 'transform')
    print(`${file} is valid (${transforms}; servers were not asked: \`sluice doctor\` does)`)
  }
  return code
}
