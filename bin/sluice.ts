#!/usr/bin/env node
/**
 * The command line. This file only declares commands; each one is loaded when it is used, so that
 * `--help` does not wait for drivers. bin/ is the only place where all parts meet.
 */
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { addFeatureCommands } from './feature-commands.ts'
import { addLetterCommands, collect } from './letter-commands.ts'
import { codeOfThrown, exitCode, printThrown, type ExitCode } from './output.ts'
import type { DeliveriesOptions } from './commands/deliveries.ts'
import type { DoctorOptions } from './commands/doctor.ts'
import type { RunOptions } from './commands/run.ts'
import type { InferOptions } from './commands/schema-infer.ts'
import type { TapOptions } from './commands/tap.ts'
import type { ValidateOptions } from './commands/validate.ts'
import { supportedNode } from './node-version.ts'
import { version } from './version.ts'

const exitCodes =
  '\nExit codes: 0 ok, 1 runtime error, 2 invalid file or arguments, 3 environment not ready.'

function program(): Command {
  const sluice = new Command('sluice')
    .description('Change data capture, streaming SQL and delivery from one YAML file.')
    .version(version(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show what a command does')
    .addHelpText('after', exitCodes)
    .showHelpAfterError('(`sluice --help` lists the commands and their options)')
    .showSuggestionAfterError()
    .exitOverride()
  addPipelineCommands(sluice)
  const kit = { file: fileArgument, format, wholeNumber, finish }
  addLetterCommands(sluice, kit)
  addFeatureCommands(sluice, kit)
  addHelpCommands(sluice)
  return sluice
}

function addPipelineCommands(sluice: Command): void {
  const file = fileArgument()
  sluice
    .command('validate')
    .description('check a pipeline file: no network and no secrets needed')
    .addArgument(file)
    .addOption(format(['human', 'json']))
    .action(async (path: string, options: ValidateOptions) =>
      finish((await import('./commands/validate.ts')).validate(path, options)),
    )
  sluice
    .command('doctor')
    .description('ask every server and the log whether they are ready, and say what to change')
    .addArgument(file)
    .addOption(format(['human', 'json']))
    .action(async (path: string, options: DoctorOptions) =>
      finish((await import('./commands/doctor.ts')).doctor(path, options)),
    )
  sluice
    .command('run')
    .description('run the pipeline until SIGINT or SIGTERM')
    .addArgument(file)
    .option('--plain', 'plain lines instead of the live table', false)
    .option('--port <port>', 'port for /metrics, /healthz, /readyz and /status; 0 = none', port)
    .option('--host <address>', 'address for it; it has no authentication', '127.0.0.1')
    .option('--state <folder>', 'folder for what can be rebuilt from the log')
    .addOption(
      new Option('--log-level <level>', 'least important log line to print')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'form of log lines')
        .choices(['plain', 'json'])
        .default('plain'),
    )
    .action(async (path: string, options: RunOptions) =>
      finish((await import('./commands/run.ts')).run(path, options)),
    )
  sluice
    .command('tap')
    .description('print rows of a topic from the log, beside whatever is running')
    .addArgument(file)
    .argument('[topic]', 'a topic, in full or its last part; without one they are listed')
    .option('--from <place>', 'start, end, offset:N or time:2026-01-31T12:00:00Z', 'start')
    .option('--limit <rows>', 'stop after so many rows', wholeNumber)
    .option('--follow', 'wait for more rows at the end', false)
    .addOption(format(['table', 'json', 'jsonl']))
    .action(async (path: string, topic: string | undefined, options: TapOptions) =>
      finish((await import('./commands/tap.ts')).tap(path, topic ?? null, options)),
    )
  sluice
    .command('deliveries')
    .description('search what came of each attempt to deliver, the newest first')
    .addArgument(file)
    .option('--sink <name>', 'attempts of this sink')
    .option('--endpoint <text>', 'endpoints whose name has this in it')
    .option('--status <status>', '500, 5xx, or none for attempts without an answer')
    .option('--outcome <word>', 'delivered, rejected, retry or stop')
    .option('--topic <topic>', 'events of this topic, by its full name')
    .option('--since <time>', 'made at or after this time, or so long ago (2h)')
    .option('--id <id>', 'the event with this webhook-id')
    .option('--limit <attempts>', 'the newest so many', wholeNumber, 100)
    .addOption(format(['table', 'json', 'jsonl']))
    .action(async (path: string, options: DeliveriesOptions) =>
      finish((await import('./commands/deliveries.ts')).deliveries(path, options)),
    )
}

function addHelpCommands(sluice: Command): void {
  const schema = sluice
    .command('schema')
    .description('print the JSON Schema of pipeline files, for editors')
    .action(async () => finish((await import('./commands/schema.ts')).schema()))
  schema
    .command('infer')
    .description('propose the schema of a topic from some of its records')
    .addArgument(fileArgument())
    .option('--source <name>', 'the source; the only one that needs a schema when absent')
    .option('--topic <topic>', 'the topic, without the source’s name')
    .option('--records <number>', 'look at so many records', wholeNumber, 1000)
    .option(
      '--sample <file>',
      'look at a body, an answer or a message that was saved, and ask nobody; - is standard input',
      collect,
      [],
    )
    .option('--write', 'write it into the file instead of printing it', false)
    .action(async (path: string, options: InferOptions) =>
      finish((await import('./commands/schema-infer.ts')).inferSchema(path, options)),
    )
  sluice
    .command('explain')
    .description('say what an error code means and what to do')
    .argument('<code>', 'such as config.unknown_key')
    .action(async (code: string) => finish((await import('./commands/explain.ts')).explain(code)))
  sluice
    .command('version')
    .description('print the versions of Sluice and Node.js')
    .action(() => {
      process.stdout.write(`sluice ${version()}, Node.js ${process.version}\n`)
    })
}

function fileArgument(): Argument {
  return new Argument('<file>', 'the pipeline file, such as shop.yaml')
}

async function finish(result: ExitCode | Promise<ExitCode>): Promise<void> {
  process.exitCode = await result
}

function format(choices: readonly [string, ...string[]]): Option {
  return new Option('--format <format>', 'form of the output').choices(choices).default(choices[0])
}

function port(text: string): number {
  const number = wholeNumber(text)
  if (number > 65_535) throw new InvalidArgumentError('A port is at most 65535.')
  return number
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('Not a whole number.')
  return Number(text)
}

async function main(): Promise<void> {
  if (!supportedNode(process.version)) {
    process.stderr.write(`Sluice needs Node.js 22.18 or newer; this is ${process.version}.\n`)
    process.exitCode = exitCode.environment
    return
  }
  // `sluice schema | head` closes the pipe early: that is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCode.ok)
  })
  try {
    await program().parseAsync()
  } catch (error) {
    // commander has printed its own; its help and version "errors" carry exit code 0.
    if (error instanceof Error && 'exitCode' in error) {
      process.exitCode = error.exitCode === 0 ? exitCode.ok : exitCode.invalid
      return
    }
    printThrown(error)
    process.exitCode = codeOfThrown(error)
  }
}

// Compiled code is kept for the next start, which then takes half the time. In the user's own folder:
// what lies in a shared one, another user may have put there. Where it cannot be written, nothing is lost.
enableCompileCache(join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sluice'))
await main()
