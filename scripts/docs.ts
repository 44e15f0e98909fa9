/**
 * Writes docs/errors.md (from core/errors/codes.ts), docs/config.md (from the schemas of the pipeline
 * file and of every source and sink), docs/schema-changes.md (from what sinks can and the policies' rules)
 * and docs/sql.md (from the answers of the SQL engine). `--check` writes nothing and fails when one is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { sources } from '../connectors/index.ts'
import { sinks } from '../sinks/index.ts'
import { configDocs } from './docs-config.ts'
import { errorDocs } from './docs-errors.ts'
import { schemaChangesDocs } from './docs-schema-changes.ts'
import { sqlDocs } from './docs-sql.ts'

const folder = new URL('../docs/', import.meta.url)
const pages = {
  'errors.md': errorDocs(),
  'config.md': await configDocs({ sources, sinks }),
  'schema-changes.md': await schemaChangesDocs({ sources, sinks }),
  'sql.md': await sqlDocs(),
}
const check = process.argv.includes('--check')

for (const [name, text] of Object.entries(pages)) {
  const file = new URL(name, folder)
  if (!check) {
    writeFileSync(file, text)
    process.stdout.write(`wrote docs/${name}\n`)
  } else if (current(file) !== text) {
    process.stderr.write(`docs/${name} is stale: run \`npm run docs\`\n`)
    process.exitCode = 1
  }
}

function current(file: URL): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
