/**
 * HttpRoutes: the hub's one HTTP server as a source sees it. Where it listens, TLS and its time-outs are
 * the pipeline file's (`server:`), for all sources together; paths are the sources'.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface HttpRoutes {
  /**
   * Requests to `path` (`/in/orders`, `/in/:region/orders`) go to `handle` until the route is disposed
   * of, by any method. Starts to listen with the first route; resolves when it does. Throws
   * `http.route_taken` where another source has the path, `http.port_unavailable`.
   */
  add(path: string, handle: RouteHandler): Promise<AsyncDisposable>
}

/**
 * Owns request and response; the body is unread. Must answer every request; what it throws becomes 500.
 * `parameters`: of the path, decoded.
 */
export type RouteHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  parameters: Readonly<Record<string, string>>,
) => void | Promise<void>
