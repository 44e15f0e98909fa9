import type { CodeTable } from './table.ts'

/** Codes that begin with `sink.`. */
export const sinkCodes = {
  'sink.webhook.invalid_url': {
    fault: 'config',
    cause:
      'The address of a webhook sink is not an http or https URL, or holds a user and password.',
    remedy:
      'Set `url` to the address of the endpoint, as in https://example.com/hooks. Put credentials under `headers`.',
  },
  'sink.webhook.invalid_secret': {
    fault: 'config',
    cause: 'The signing key of a webhook sink is not of the Standard Webhooks form.',
    remedy:
      'Set `secret` to whsec_ followed by 24 to 64 bytes in base64: echo "whsec_$(openssl rand -base64 32)".',
  },
  'sink.webhook.invalid_header': {
    fault: 'config',
    cause:
      'A header of a webhook sink has a name or a value that HTTP does not allow, or one that Sluice sets itself.',
    remedy: 'Correct or remove the header under `headers`.',
  },
  'sink.webhook.invalid_tls': {
    fault: 'config',
    cause: 'The certificates or the key under `tls` of a webhook sink cannot be read.',
    remedy: 'Give PEM text, for example with ${file.ca.pem}, and `cert` and `key` together.',
  },
  'sink.webhook.http_refused': {
    fault: 'config',
    cause: 'The address of a webhook sink is http://, so that anyone on the way can read the rows.',
    remedy: 'Use an https:// address, or set `allow_http: true`.',
  },
  'sink.webhook.address_refused': {
    fault: 'config',
    cause:
      'The address of a webhook sink is, or resolves to, one that is not on the public network: loopback, private, link-local, a metadata service.',
    remedy: 'Correct `url`, or set `allow_private: true` if the endpoint is meant to be inside.',
  },
  'sink.webhook.moved': {
    fault: 'config',
    cause: 'The endpoint of a webhook sink answered that it has moved for good (301 or 308).',
    remedy: 'Redirects are never followed. Set `url` to the new address.',
  },
  'sink.webhook.gone': {
    fault: 'config',
    cause: 'The endpoint of a webhook sink answered 410 Gone: it wants no more events.',
    remedy:
      'Set `url` to an endpoint that takes the events, or remove the sink. Nothing was skipped: delivery goes on where it stopped.',
  },
  'sink.webhook.unreachable': {
    fault: 'transient',
    cause: 'No connection to the endpoint of a webhook sink could be made.',
    remedy: 'Check that the endpoint is running and that this machine can reach it.',
  },
  'sink.webhook.tls_failed': {
    fault: 'transient',
    cause:
      'The endpoint of a webhook sink could not be verified: its certificate is not valid here.',
    remedy:
      "Renew or correct the endpoint's certificate; set `tls.ca` where it comes from an authority of your own.",
  },
  'sink.webhook.throttled': {
    fault: 'transient',
    cause: 'The endpoint of a webhook sink asked for fewer requests (429, 502, 503 or 504).',
    remedy:
      'Nothing, if it goes away; otherwise give the endpoint more room or lower `max_in_flight`.',
  },
  'sink.webhook.failing': {
    fault: 'transient',
    cause:
      'The last requests of a webhook sink to its endpoint all failed, so that it is only probed now and then.',
    remedy: 'Look at the endpoint; the message says how it fails. Delivery goes on by itself.',
  },
  'sink.webhook.attempt_failed': {
    fault: 'transient',
    cause:
      'One request of a webhook sink failed: no answer in time, a lost connection, or a status other than 2xx.',
    remedy: 'Nothing: it is tried again. Look at the endpoint if it happens often.',
  },
  'sink.webhook.exhausted': {
    fault: 'row',
    cause: 'All attempts to deliver an event to the endpoint of a webhook sink failed.',
    remedy:
      'Look at what the endpoint does with this event. `retry.attempts` says how often an event is tried.',
  },
  'sink.webhook.rejected': {
    fault: 'row',
    cause: 'The endpoint of a webhook sink answered that it will never take this event.',
    remedy:
      'Look at what the endpoint finds wrong with it. `reject` lists the statuses that mean this.',
  },
  'sink.webhook.not_text': {
    fault: 'row',
    cause: 'A text in the row is not valid UTF-8, so that JSON cannot hold it.',
    remedy: 'Correct the value in the source, or select it as bytes in a transform.',
  },
} as const satisfies CodeTable
