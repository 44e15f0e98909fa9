/** A fault put in front of the real engine for the next statements that match. */
export type ClickHouseFault = {
  /** Regular expression on the statement; every statement when absent. */
  readonly match?: string
  /** For how many statements; 1 when absent. */
  readonly times?: number
} & (
  | { readonly kind: 'refuse'; readonly code: number; readonly type?: string }
  /** This text instead of the engine's answer. */
  | { readonly kind: 'answer'; readonly body: string }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The connection is cut before the engine sees the statement. */
  | { readonly kind: 'reset' }
  /** The engine runs the statement to its end, then the connection is cut instead of an answer. */
  | { readonly kind: 'drop-response' }
)
