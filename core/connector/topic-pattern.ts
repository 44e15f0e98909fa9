/** Patterns of topic names: `*` stands for any characters, dots included. */

/** Whether `name` (a full name or a pattern) stands for `topic`. */
export function matchTopic(name: string, topic: string): boolean {
  if (!name.includes('*')) return name === topic
  // Split instead of a regular expression: a name with many stars must not take exponential time.
  const parts = name.split('*')
  const first = parts[0]!
  const last = parts.at(-1)!
  if (topic.length < first.length + last.length) return false
  if (!topic.startsWith(first) || !topic.endsWith(last)) return false
  let at = first.length
  const end = topic.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = topic.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
