/**
 * The target of `rel="next"` in a Link header (RFC 8288 §3).
 *
 *   Link   = link *( ',' link )
 *   link   = '<' URI-Reference '>' *( ';' name [ '=' ( token | quoted ) ] )
 *
 * `rel` holds relation types with blanks between them, in any case; only the first `rel` of a link counts.
 */
const target = /^\s*<([^>]*)>/
const parameter = /^\s*;\s*([\w!#$%&'*+.^`|~-]*)\s*(?:=\s*(?:"((?:[^"\\]|\\[^])*)"|([^\s";,]*)))?/

/** As it is written there, maybe relative; null = there is none. */
export function nextLink(header: string): string | null {
  for (let rest = header; ;) {
    const link = target.exec(rest)
    if (link === null) return null
    rest = rest.slice(link[0].length)
    let relations: string | null = null
    for (let found = parameter.exec(rest); found !== null; found = parameter.exec(rest)) {
      rest = rest.slice(found[0].length)
      const [, name = '', quoted, token = ''] = found
      if (name.toLowerCase() === 'rel') relations ??= quoted?.replace(/\\([^])/g, '$1') ?? token
    }
    if (relations?.toLowerCase().split(/\s+/).includes('next') === true) return link[1]!
    const comma = /^[^<]*,\s*/.exec(rest)
    if (comma === null) return null
    rest = rest.slice(comma[0].length)
  }
}
