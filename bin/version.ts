/** The version of this package, from its package.json: beside the sources, or one above dist/. */
import { existsSync, readFileSync } from 'node:fs'

export function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    const url = new URL(place, import.meta.url)
    if (!existsSync(url)) continue
    const content = JSON.parse(readFileSync(url, 'utf8')) as { name?: unknown; version?: unknown }
    if (typeof content.version === 'string') return content.version
  }
  return 'unknown'
}
