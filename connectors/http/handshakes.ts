/** What senders ask once before they send: to be answered, and no row. */

/** Slack's request is smaller than this by far. */
const slackBytesMax = 4096

/**
 * The text that a body of this scheme wants back, or null where it is none. Called for bodies whose
 * signature was found right.
 *
 * Slack: `{"type":"url_verification","challenge":"…"}` is answered with the challenge
 * (https://docs.slack.dev/reference/events/url_verification).
 */
export function handshake(scheme: string, body: Buffer): string | null {
  if (scheme !== 'slack' || body.length > slackBytesMax) return null
  if (!body.includes('"url_verification"')) return null
  try {
    const { type, challenge } = JSON.parse(body.toString('utf8')) as Record<string, unknown>
    return type === 'url_verification' && typeof challenge === 'string' ? challenge : null
  } catch {
    return null
  }
}
