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
      'The source left a value out of an update because it did not change, and the log has nothing to take it from: no earlier row of that key, or only rows from before the column was added.',
    remedy:
      'Have the table named copied again (the source’s `resnapshot`). To rule it out, make the source send whole rows: REPLICA IDENTITY FULL in Postgres, binlog_row_image = FULL in MySQL and MariaDB.',
  },
  'task.replan': {
    fault: 'transient',
    cause: 'An input of a transform changed its schema in a way that its query still fits.',
    remedy: 'Nothing to do: it goes on by itself.',
  },
  'task.unchanged_restart': {
    fault: 'transient',
    cause:
      'A topic had its first unchanged value behind rows of open transactions that were not remembered; the source is opened again, at most twice a topic, so that all of them are.',
    remedy: 'Nothing to do: it goes on by itself.',
  },
  'task.state_unusable': {
    fault: 'config',
    cause: 'A folder for rebuildable state could not be opened or written.',
    remedy:
      'Check that the folder named is writable and not in use by another Sluice process; it may be deleted, it is rebuilt from the log.',
  },
  'task.topic_reserved': {
    fault: 'config',
    cause: 'A source has a topic with the name under which Sluice keeps rows of its own.',
    remedy:
      'Leave that topic out of the source: name the others instead of using a pattern that finds it.',
  },
  'task.plan_changed': {
    fault: 'config',
    cause:
      'A delivery that was planned before a restart no longer has the same rows in the log, so retrying it under the same id could lose or double rows.',
    remedy:
      'The log was changed outside Sluice. Restore it, or remove the sink’s chain to deliver everything again.',
  },
} as const satisfies CodeTable
