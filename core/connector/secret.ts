import { inspect } from 'node:util'
import { z } from 'zod'

/**
 * Secret: a configuration value that prints as `***` everywhere: in logs, in JSON, in templates, in
 * the debugger's view. Only `reveal` gives the text, at the place where it is used.
 */
export class Secret {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  reveal(): string {
    return this.#text
  }
  toString(): string {
    return '***'
  }
  toJSON(): string {
    return '***'
  }
  [inspect.custom](): string {
    return 'Secret(***)'
  }
}

/** Schema of a secret text; marked so that docs and JSON Schema can say so. */
export function secretText(description: string): z.ZodType<Secret, string> {
  return z
    .string()
    .min(1)
    .meta({ description, secret: true })
    .transform((text) => new Secret(text))
}
