/** Of the hub's HTTP server and of the HTTP source; they begin with `http.`. */
import type { CodeTable } from './table.ts'

export const httpCodes = {
  'http.port_unavailable': {
    fault: 'transient',
    cause: 'The address or port of `server` in the pipeline file cannot be listened on.',
    remedy:
      'See who has the port, or set `server.host` and `server.port` to one that is free and that this user may have.',
  },
  'http.tls': {
    fault: 'config',
    cause: 'The certificate or key under `server.tls` cannot be used.',
    remedy:
      'Give PEM texts that belong together: `cert` with its chain, `key` without a passphrase, `client_ca` with the authorities of clients.',
  },
  'http.route_taken': {
    fault: 'config',
    cause: 'Two topics of HTTP sources want requests to the same path.',
    remedy: 'Give each topic under `push` a `path` of its own.',
  },
  'http.no_server': {
    fault: 'config',
    cause: 'An HTTP source with `push` runs where there is no HTTP server.',
    remedy: 'Run the pipeline with `sluice run`.',
  },
  'http.invalid_config': {
    fault: 'config',
    cause: 'The settings of a topic of an HTTP source do not fit together.',
    remedy: 'The message says which; docs/config.md has all of them.',
  },
  'http.no_schema': {
    fault: 'config',
    cause: 'A topic that others send to has no `schema`.',
    remedy:
      'Say the columns and their types; `sluice schema infer <file> --topic <topic> --sample body.json` proposes some, read off a body that was saved.',
  },
  'http.open_to_all': {
    fault: 'config',
    cause: 'A topic of an HTTP source takes rows from everybody who can reach the server.',
    remedy: 'Set `auth` to a scheme with a secret, or `allow_ips`.',
  },
  'http.keys_forgotten': {
    fault: 'transient',
    cause:
      'More idempotency keys came within `idempotency.window` than `idempotency.max_keys` allows to be remembered.',
    remedy:
      'Raise `max_keys` (about 40 bytes of memory each) or shorten `window`; a request that is repeated later than the oldest key remembered is taken again.',
  },
} as const satisfies CodeTable
