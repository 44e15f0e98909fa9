/** A row in the user's own editor, as `git commit` does it; what was changed in it comes back. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ListedLetter } from '../core/task/letter-list.ts'
import { parseJson, type JsonInput } from '../core/task/value-edit.ts'
import { nameOf, WrongArgument } from './letter-filter.ts'
import { objectOf } from './letter-edit.ts'

/** The columns that were given other values. Throws WrongArgument without an editor or a terminal. */
export async function editInEditor(letter: ListedLetter): Promise<ReadonlyMap<string, JsonInput>> {
  const { row } = letter.entry
  const editor = process.env['VISUAL'] ?? process.env['EDITOR']
  if (editor === undefined || editor === '' || !process.stdin.isTTY)
    throw new WrongArgument(
      "say what to change: --set column=value, --json '{…}', or set EDITOR and run this in a terminal",
    )
  if (row === null)
    throw new WrongArgument(`${nameOf(letter)}: its row cannot be written as JSON: use --set`)
  // Only for this user's eyes: a row may hold anything.
  const folder = await mkdtemp(join(tmpdir(), 'sluice-edit-'))
  try {
    const file = join(folder, `${letter.task.name}-${letter.entry.letter}.json`)
    await writeFile(file, `${JSON.stringify(parseJson(row), null, 2)}\n`, { mode: 0o600 })
    // The variable may hold arguments, as in "code --wait": the shell takes it apart.
    const child = spawn(`${editor} "$0"`, [file], { stdio: 'inherit', shell: true })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new WrongArgument(`the editor ended with ${code}: nothing was changed`)
    return changed(row, await readFile(file, 'utf8'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function changed(before: string, after: string): ReadonlyMap<string, JsonInput> {
  const old = new Map(
    objectOf(before, 'the row').map(([name, value]) => [name, JSON.stringify(value)]),
  )
  const entries = objectOf(after, 'the file').filter(
    ([name, value]) => old.get(name) !== JSON.stringify(value),
  )
  if (entries.length === 0) throw new WrongArgument('nothing was changed, so nothing is sent')
  return new Map(entries)
}
