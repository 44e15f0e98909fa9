/**
 * SaslHandshake (17): the login itself is the libraries'; this asks whether a listener wants one.
 *
 *   request = mechanism string
 *   answer  = error int16, mechanisms array(string)
 */
import type { Api } from './api.ts'

export const saslHandshake: Api<
  string,
  { readonly error: number; readonly mechanisms: readonly string[] }
> = {
  name: 'SaslHandshake',
  key: 17,
  min: 0,
  max: 1,
  flexibleFrom: 2,
  write: (to, mechanism) => {
    to.string(mechanism)
  },
  read: (from) => ({ error: from.int16(), mechanisms: from.array(() => from.string()) }),
}
