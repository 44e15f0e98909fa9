/** Declares `sluice dlq …`, `sluice replay` and `sluice resync`; bin/sluice.ts declares the others. */
import type { Argument, Command, Option } from 'commander'
import type { AskOptions, DropOptions, EditOptions } from './commands/dlq-ask.ts'
import type { ListOptions, RequestsOptions } from './commands/dlq.ts'
import type { ReplayOptions } from './commands/replay.ts'
import type { ResyncOptions } from './commands/resync.ts'
import type { ExitCode } from './output.ts'

export interface CommandKit {
  readonly file: () => Argument
  readonly format: (choices: readonly [string, ...string[]]) => Option
  readonly wholeNumber: (text: string) => number
  readonly finish: (result: ExitCode | Promise<ExitCode>) => Promise<void>
}

const letters =
  'letters as dlq ls names them, such as warehouse:12; without any, the filters choose'

export function addLetterCommands(sluice: Command, kit: CommandKit): void {
  const dlq = sluice
    .command('dlq')
    .description('dead letters: rows that were set aside, with their reason')
  addLooking(dlq, kit)
  addAsking(dlq, kit)
  addReplay(sluice, kit)
  addResync(sluice, kit)
}

function filters(command: Command, { wholeNumber }: CommandKit): Command {
  return command
    .option('--sink <name>', 'letters of this sink')
    .option('--task <name>', 'letters of this sink or transform')
    .option('--topic <topic>', 'letters of rows of this topic, in full or its last part')
    .option('--code <code>', 'letters with this reason, such as sink.webhook.rejected')
    .option('--key <key>', 'letters of this key: its value, or a JSON object')
    .option('--where <sql>', 'a condition over a letter\'s columns, such as "attempts > 3"')
    .option('--since <time>', 'last refused at or after this time, or so long ago (2h)')
    .option('--until <time>', 'last refused before this time, or so long ago')
    .option('--limit <letters>', 'the newest so many', wholeNumber)
}

function addLooking(dlq: Command, kit: CommandKit): void {
  const { file, format, finish } = kit
  const tabular = (): Option => format(['table', 'json', 'jsonl'])
  filters(dlq.command('ls').description('list open letters, the newest first'), kit)
    .addArgument(file())
    .option('--all', 'also those that were retried or dropped', false)
    .addOption(tabular())
    .action(async (path: string, options: ListOptions) =>
      finish((await import('./commands/dlq.ts')).list(path, options)),
    )
  filters(dlq.command('show').description('a letter with its row and its story'), kit)
    .addArgument(file())
    .argument('[letters...]', letters)
    .option('--all', 'also those that were retried or dropped, where none is named', false)
    .addOption(tabular())
    .action(async (path: string, named: string[], options: ListOptions) =>
      finish((await import('./commands/dlq.ts')).show(path, named, options)),
    )
  dlq
    .command('requests')
    .description('what was asked of the sinks and how far it is')
    .addArgument(file())
    .option('--sink <name>', 'only of this sink')
    .addOption(tabular())
    .action(async (path: string, options: RequestsOptions) =>
      finish((await import('./commands/dlq.ts')).requests(path, options)),
    )
}

function addAsking(dlq: Command, kit: CommandKit): void {
  const { file, finish } = kit
  filters(dlq.command('retry').description('send the rows again, as they are'), kit)
    .addArgument(file())
    .argument('[letters...]', letters)
    .option('--follow', 'wait until it is done', false)
    .action(async (path: string, named: string[], options: AskOptions) =>
      finish((await import('./commands/dlq-ask.ts')).retry(path, named, options)),
    )
  filters(dlq.command('edit').description('change the rows and send them again'), kit)
    .addArgument(file())
    .argument('[letters...]', letters)
    .option('--set <column=value>', 'a value, as SQL reads it; null is NULL', collect, [])
    .option('--json <object>', 'values by column, as JSON')
    .option('--follow', 'wait until it is done', false)
    .action(async (path: string, named: string[], options: EditOptions) =>
      finish((await import('./commands/dlq-ask.ts')).edit(path, named, options)),
    )
  filters(dlq.command('drop').description('forget the letters for good'), kit)
    .addArgument(file())
    .argument('[letters...]', letters)
    .option('--yes', 'do not ask', false)
    .action(async (path: string, named: string[], options: DropOptions) =>
      finish((await import('./commands/dlq-ask.ts')).drop(path, named, options)),
    )
  filters(
    dlq
      .command('replay')
      .description('send the rows again and every later row of their keys, in order'),
    kit,
  )
    .addArgument(file())
    .argument('[letters...]', letters)
    .option('--follow', 'wait until it is done', false)
    .action(async (path: string, named: string[], options: AskOptions) =>
      finish((await import('./commands/dlq-ask.ts')).replayKeys(path, named, options)),
    )
}

function addReplay(sluice: Command, { file, wholeNumber, finish }: CommandKit): void {
  const places = 'start, end, offset:N or time:2026-01-31T12:00:00Z'
  sluice
    .command('replay')
    .description('have a sink get a stretch of the log once more')
    .addArgument(file())
    .requiredOption('--sink <name>', 'the sink')
    .option('--topic <topic>', 'only this topic, in full or its last part')
    .option('--from <place>', `first row: ${places}`)
    .option('--to <place>', 'the row after the last one, likewise', 'end')
    .option('--where <sql>', 'only rows that match, such as "status = \'paid\'"')
    .option('--follow', 'wait until it is done', false)
    .option('--cancel <request>', 'end a request that is under way', wholeNumber)
    .action(async (path: string, options: ReplayOptions) =>
      finish((await import('./commands/replay.ts')).replay(path, options)),
    )
}

function addResync(sluice: Command, { file, wholeNumber, finish }: CommandKit): void {
  sluice
    .command('resync')
    .description("build a sink's table of a topic anew from the log, beside the one in use")
    .addArgument(file())
    .requiredOption('--sink <name>', 'the sink')
    .option('--topic <topic>', 'the topic, in full or its last part')
    .option('--from <place>', 'first row, as for replay; the beginning of the topic when absent')
    .option('--follow', 'wait until it is done', false)
    .option('--cancel <request>', 'end a request that is under way', wholeNumber)
    .action(async (path: string, options: ResyncOptions) =>
      finish((await import('./commands/resync.ts')).resync(path, options)),
    )
}

export function collect(value: string, before: string[]): string[] {
  return [...before, value]
}
