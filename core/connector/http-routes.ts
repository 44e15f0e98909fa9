/**
 * HttpRoutes: the hub's one HTTP server as a source sees it. Where it listens, TLS and its time-outs are
 * the pipeline file's (`server:`), for all sources together; paths are the sources'.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface HttpRoutes {
  /**
   * Requests to `path` (`/in/orders`, `/in/:region/orders`) go to `handle` until the route is disposed
   * of, by any method; afterwards they are told to come again (503). Starts to listen with the first
   * route; resolves when it does. Throws `http.route_taken` where another source has the path,
   * `http.port_unavailable`, `http.tls`.
   */
  add(path: string, handle: RouteHandler): Promise<AsyncDisposable>
}

/** Owns request and response; the body is unread. Must answer every request; what it throws becomes 500. */
export type RouteHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  call: RouteCall,
) => void | Promise<void>

export interface RouteCall {
  /** Of the path, decoded; none holds a slash, a control character, or is `.` or `..`. */
  readonly parameters: Readonly<Record<string, string>>
  /**
   * IP address of the client: that of the connection, or, where that is a proxy the server trusts, what the
   * proxy says. IPv4 addresses always as such, never mapped into IPv6.
   */
  readonly remoteAddress: string
}
