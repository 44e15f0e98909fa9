/**
 * A form as a JSON object of texts, for the one reader of fields there is. Names that come twice become a
 * list of texts.
 *
 *   form = pair *( '&' pair )    pair = name [ '=' value ]    '+' is a blank, %XX a byte of UTF-8
 */
export function formToJson(body: Buffer): Buffer {
  const values = new Map<string, string | string[]>()
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    const before = values.get(name)
    if (before === undefined) values.set(name, value)
    else if (typeof before === 'string') values.set(name, [before, value])
    else before.push(value)
  }
  return Buffer.from(JSON.stringify(Object.fromEntries(values)))
}
