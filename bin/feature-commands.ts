/** Declares `sluice features …`; bin/sluice.ts declares the others. */
import { InvalidArgumentError, type Command } from 'commander'
import type { ExportOptions, VerifyCommandOptions } from './commands/features.ts'
import type { CommandKit } from './letter-commands.ts'

export function addFeatureCommands(
  sluice: Command,
  { file, format, wholeNumber, finish }: CommandKit,
): void {
  const features = sluice
    .command('features')
    .description('feature stores: whether online and offline agree, and a repository for Feast')
  features
    .command('verify')
    .description(
      'compare what is online with what the offline log says; exit code 1 when it differs',
    )
    .addArgument(file())
    .option('--sink <name>', 'only this sink')
    .option('--view <name...>', 'only these views')
    .option('--sample <keys>', 'entities looked at per view, or all', sample, 10_000)
    .option('--as-of <time>', 'leave out later event times: a time, or so long ago (10s)')
    .option('--seed <number>', 'another seed, another sample; without one it is drawn', wholeNumber)
    .option('--tolerance <percent>', 'how much of a feature may differ', percent, 0)
    .addOption(format(['table', 'json']))
    .action(async (path: string, options: VerifyCommandOptions) =>
      finish((await import('./commands/features.ts')).verify(path, options)),
    )
  features
    .command('export')
    .description('write a Feast repository that reads what a sink writes')
    .addArgument(file())
    .option('--sink <name>', 'the sink; may be left out where only one keeps features')
    .requiredOption('--out <folder>', 'where the files go')
    .option('--force', 'replace files that are there and differ', false)
    .action(async (path: string, options: ExportOptions) =>
      finish((await import('./commands/features.ts')).exportRepository(path, options)),
    )
}

/** Infinity for all: commander takes null for a value that is not there. */
function sample(text: string): number {
  if (text === 'all') return Infinity
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new InvalidArgumentError('A number of entities, or all.')
  }
  return Number(text)
}

function percent(text: string): number {
  const value = Number(text.replace(/ ?%$/, ''))
  if (!/^\d/.test(text) || !(value >= 0 && value <= 100)) {
    throw new InvalidArgumentError('A percentage from 0 to 100.')
  }
  return value
}
