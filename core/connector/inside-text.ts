/** Templates of JSON: a value inside of a text of the template has no quotes of its own. */

/** Whether a place after `text` is inside of a JSON text. */
export function insideText(text: string, before: boolean): boolean {
  let inside = before
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && inside) i++
    else if (text[i] === '"') inside = !inside
  }
  return inside
}
