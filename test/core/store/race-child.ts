/** A process of directory.test.ts: races for keys 0 … n − 1 and sends the numbers that it won. */
import { openStore } from '../../../core/store/open.ts'

const [folder = '', count = '0'] = process.argv.slice(2)
const signal = new AbortController().signal
await using store = openStore(`file://${folder}`)
const won: number[] = []
for (let i = 0; i < Number(count); i++) {
  const body = new TextEncoder().encode(`${process.pid}`)
  if ((await store.create(`k/${i}`, body, signal)) === 'created') won.push(i)
}
process.send?.(won)
