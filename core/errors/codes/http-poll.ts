/** Of the HTTP source, where it asks; they begin with `http.poll.`. */
import type { CodeTable } from './table.ts'

export const httpPollCodes = {
  'http.poll.unreachable': {
    fault: 'transient',
    cause: 'The server that is polled could not be reached, or did not answer to the end in time.',
    remedy: 'Check that it is up and that `url` leads to it; `timeout` is for the whole answer.',
  },
  'http.poll.unavailable': {
    fault: 'transient',
    cause:
      'The server that is polled said that it cannot answer now, or that it was asked too often.',
    remedy:
      'It is asked again by itself, not before the time that it said. If it says 429, `rate` or a longer `every` keeps Sluice from asking too often; if it stays at 5xx, those who run it have to look.',
  },
  'http.poll.tls': {
    fault: 'config',
    cause: 'The TLS connection to the server that is polled was refused or could not be verified.',
    remedy:
      'Set `ca` to the certificate of who signed the server’s; the host of `url` has to be a name of the certificate.',
  },
  'http.poll.auth': {
    fault: 'config',
    cause: 'The server that is polled refused who asks.',
    remedy: 'Correct `auth`, and give this user or token the right to read what `url` names.',
  },
  'http.poll.refused': {
    fault: 'config',
    cause: 'The server that is polled refused the request as it is.',
    remedy:
      'Correct `url`, `method`, `headers`, `body` or the parameters of `pagination` and `since`: what the server wants is in its manual.',
  },
  'http.poll.token': {
    fault: 'config',
    cause: 'The token server refused the client, or its answer has no token.',
    remedy:
      'Correct `token_url`, `client_id`, `client_secret`, `scope` and `client_in` under `auth`.',
  },
  'http.poll.token_unreachable': {
    fault: 'transient',
    cause: 'The token server did not answer, or said that it cannot answer now.',
    remedy: 'Check that it is up and reachable; Sluice asks again by itself.',
  },
  'http.poll.redirect': {
    fault: 'config',
    cause: 'The server that is polled sends to another place that is not followed.',
    remedy:
      'Put the new address into `url`, or its host into `allow_hosts`. If it leads to a login, correct `auth`.',
  },
  'http.poll.foreign_host': {
    fault: 'config',
    cause:
      'An answer names a next page on another host: whoever writes answers would choose whom Sluice asks.',
    remedy: 'Put the host into `allow_hosts` if it is to get the same headers and credentials.',
  },
  'http.poll.answer': {
    fault: 'transient',
    cause: 'An answer that should have records is not written as `format` and `records` say.',
    remedy:
      'It is asked again. If it stays so, look at an answer: correct `format`, or `records` and `next` to paths that are in it.',
  },
  'http.poll.too_large': {
    fault: 'config',
    cause: 'An answer is larger than `max_response`.',
    remedy:
      'Ask for smaller pages (`size`), or raise `max_response`; a page is held in memory as a whole.',
  },
  'http.poll.loop': {
    fault: 'config',
    cause: 'Pages lead back to a page of the same run, or are the same over and over.',
    remedy:
      'Correct `pagination`: the server seems not to know the parameter, or `next` is the path of this page’s own cursor.',
  },
  'http.poll.too_many_pages': {
    fault: 'config',
    cause: 'A run has more pages than `max_pages`.',
    remedy:
      'Raise `max_pages`, or ask for larger pages (`size`) or only for what is new (`since`).',
  },
  'http.poll.too_many_keys': {
    fault: 'config',
    cause: 'A topic has more rows than are remembered to tell which changed.',
    remedy:
      'Raise `max_keys` (about 250 bytes of memory each), or ask only for what is new (`since`).',
  },
  'http.poll.listing_refused': {
    fault: 'transient',
    cause:
      'A listing is empty, lacks more rows than `deletes_max`, or has records that are no rows: nothing was deleted, since that is what a server in trouble answers too.',
    remedy:
      'If it is true, raise `deletes_max` (1 allows all) until the rows are gone; look at records that do not fit with `sluice dlq`.',
  },
  'http.poll.no_schema': {
    fault: 'config',
    cause: 'A topic that is polled has no `schema`.',
    remedy: 'Say the columns and their types; `sluice schema infer` proposes some.',
  },
  'http.poll.no_records': {
    fault: 'config',
    cause: 'The path to the records finds nothing in the answer.',
    remedy: 'Correct `records`, unless there are no records yet.',
  },
  'http.poll.one_page': {
    fault: 'config',
    cause:
      'The first answer is as full as a page is, leads to no other page, and does not say that it is the last.',
    remedy:
      'If there are more records than these, look at an answer: correct `next` under `pagination` to the path where it names the next page.',
  },
  'http.poll.unfit_records': {
    fault: 'config',
    cause:
      'Records of the answer do not fit the schema. They would become dead letters; of more than 10,000 (or 64 MiB) in one answer none does, and the topic waits.',
    remedy:
      'Correct `schema`, or look at what the server sends; `sluice schema infer` proposes a schema.',
  },
} as const satisfies CodeTable
