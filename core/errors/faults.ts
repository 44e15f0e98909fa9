import type { CodeEntry } from './codes/table.ts'

/** What the runtime does about each kind of fault, as people are told. */
export const faultWords: Readonly<Record<CodeEntry['fault'], string>> = {
  transient: 'It is tried again by itself, with growing pauses; the reason stays on show.',
  row: 'The row is set aside as a dead letter with its reason; the others go on.',
  config: 'The part concerned stops and waits for you.',
  fenced: 'This process steps down; the newer one goes on.',
  bug: 'The process ends; what was committed is safe.',
}
