/** npm run crash -- --kills 20 --seed 7 [--source postgres|mysql|mariadb|kafka] [--store directory|s3] [--server-kills] [--cuts] [--json] */
import { parseArgs } from 'node:util'
import { startS3 } from '../services/s3.ts'
import { crashRun, type CrashOptions } from './crash.ts'
import { s3Log } from './s3-log.ts'
import type { SourceKind } from './source.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    source: { type: 'string', default: 'postgres' },
    store: { type: 'string', default: 'directory' },
    'server-kills': { type: 'boolean', default: false },
    cuts: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const kills = Number(values.kills)
const seed = Number(values.seed)
if (!Number.isInteger(kills) || kills < 0 || !Number.isInteger(seed)) {
  console.error('--kills and --seed take whole numbers')
  process.exit(2)
}
if (values.store !== 'directory' && values.store !== 's3') {
  console.error(`--store takes directory or s3, not "${values.store}"`)
  process.exit(2)
}
const source = values.source
if (!isKind(source)) {
  console.error(`--source takes postgres, mysql, mariadb or kafka, not "${source}"`)
  process.exit(2)
}
if (values['server-kills'] && source === 'postgres') {
  console.error('--server-kills is for mysql, mariadb and kafka')
  process.exit(2)
}
if (values.cuts && source !== 'kafka') {
  console.error('--cuts is for kafka')
  process.exit(2)
}
function isKind(text: string): text is SourceKind {
  return ['postgres', 'mysql', 'mariadb', 'kafka'].includes(text)
}

const say = (text: string): void => console.error(text)

async function run(kind: SourceKind): Promise<boolean> {
  await using server = values.store === 's3' ? await startS3() : null
  const serverKills = values['server-kills']
  const { cuts } = values
  const options: CrashOptions = { kills, seed, say, source: kind, serverKills, cuts }
  const result = await crashRun(server === null ? options : { ...options, s3: s3Log(server, seed) })
  if (values.json) console.log(JSON.stringify(result))
  else
    console.log(
      Object.entries(result)
        .map(([name, value]) => `${name} ${value}`)
        .join('  '),
    )
  return result.ok
}

process.exitCode = (await run(source)) ? 0 : 1
