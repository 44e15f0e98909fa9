import type { CodeTable } from './table.ts'

/** Codes that begin with `task.`. */
export const taskCodes = {
  'task.position_went_back': {
    fault: 'bug',
    cause: 'A source gave a position that does not come after the one it gave before.',
    remedy: 'Nothing was committed with it. Report it together with the source’s version.',
  },
  'task.source_ended': {
    fault: 'transient',
    cause: 'A source ended its stream although nobody asked it to.',
    remedy:
      'The source is opened again by itself. If it happens often, read the source server’s log.',
  },
  'task.unchanged_not_found': {
    fault: 'config',
    cause:
      'The source said that a large value did not change, and no earlier row of that key is in the log to take it from.',
    remedy:
      'ALTER TABLE … REPLICA IDENTITY FULL on the table named, or remove the source’s chain and let it take a new snapshot.',
  },
  'task.replan': {
    fault: 'transient',
    cause: 'An input of a transform changed its schema in a way that its query still fits.',
    remedy: 'Nothing to do: it goes on by itself.',
  },
  'task.unchanged_restart': {
    fault: 'transient',
    cause:
      'A topic had its first unchanged large value while rows before it were not committed yet; the source is opened again once, so that all of them are remembered.',
    remedy: 'Nothing to do: it goes on by itself.',
  },
  'task.state_unusable': {
    fault: 'config',
    cause: 'A folder for rebuildable state could not be opened or written.',
    remedy:
      'Check that the folder named is writable and not in use by another Sluice process; it may be deleted, it is rebuilt from the log.',
  },
  'task.plan_changed': {
    fault: 'config',
    cause:
      'A delivery that was planned before a restart no longer has the same rows in the log, so retrying it under the same id could lose or double rows.',
    remedy:
      'The log was changed outside Sluice. Restore it, or remove the sink’s chain to deliver everything again.',
  },
} as const satisfies CodeTable
