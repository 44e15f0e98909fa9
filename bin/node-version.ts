/**
 * Whether this Node.js can run Sluice: 22.18 brings type stripping without a flag, 22.15 zstd in
 * node:zlib, 24 both. Said at the start, before an import fails with words that help nobody.
 */
export function supportedNode(text: string): boolean {
  const [major = 0, minor = 0] = text.replace(/^v/, '').split('.').map(Number)
  return major > 22 || (major === 22 && minor >= 18)
}
