import type { CodeTable } from './table.ts'

/** Codes that begin with `source.mysql.`. */
export const mysqlCodes = {
  'source.mysql.protocol': {
    fault: 'config',
    cause:
      'The server sent a packet or binlog event that does not follow the format this version of Sluice knows.',
    remedy:
      'Check that nothing between Sluice and the server rewrites the stream (a proxy) and that the server version is supported; nothing was lost, the stream stops in front of that event.',
  },
} as const satisfies CodeTable
