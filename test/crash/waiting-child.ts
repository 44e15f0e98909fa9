/** A process that delivers until a failpoint kills it: `node waiting-child.ts <place as JSON>`. */
import { deliver, type Place } from './waiting.ts'

await deliver(JSON.parse(process.argv[2] ?? '') as Place, new AbortController().signal)
