import type { CodeTable } from './table.ts'

/** Codes that begin with `store.` or `log.`. */
export const logCodes = {
  'store.url_invalid': {
    fault: 'config',
    cause: 'The URL of the log names no kind of store that Sluice knows, or lacks a part.',
    remedy: 'Use file://./folder, file:///folder, s3://bucket/prefix or memory://name.',
  },
  'store.key_invalid': {
    fault: 'bug',
    cause: 'A key was asked for that does not name an object inside the store.',
    remedy: 'Report it with the log lines above; nothing was read or written.',
  },
  'store.unavailable': {
    fault: 'transient',
    cause: 'The object store did not answer, answered too late, or said that it is overloaded.',
    remedy: 'Nothing needs doing if it passes. Otherwise check the network and the store itself.',
  },
  'store.denied': {
    fault: 'config',
    cause: 'The object store refused the credentials, or they do not allow this operation.',
    remedy:
      'Check the access key and its policy: Sluice needs GetObject, PutObject, DeleteObject and ListBucket under its prefix.',
  },
  'store.bucket_missing': {
    fault: 'config',
    cause: 'The bucket does not exist at this endpoint.',
    remedy: 'Create the bucket, or correct the URL, the endpoint or the region.',
  },
  'store.refused': {
    fault: 'config',
    cause: 'The object store refused a request that is valid for S3.',
    remedy:
      'Check endpoint, region and path-style addressing against the documentation of the store.',
  },
  'store.folder_unusable': {
    fault: 'config',
    cause:
      'The folder of the log cannot be written, is full, or lies on a file system without links.',
    remedy:
      'Make the folder writable, free some space, or use a local file system such as ext4, xfs or apfs.',
  },
  'store.not_atomic': {
    fault: 'config',
    cause:
      'Several writers raced to create one object and the store did not let exactly one of them win. On such a store two Sluice processes could overwrite each other’s commits.',
    remedy:
      'Use a store, or a version of it, with atomic If-None-Match on PutObject: AWS S3, R2, MinIO, versitygw, SeaweedFS from 4.18 on, rclone from 1.76 on.',
  },
  'log.name_invalid': {
    fault: 'config',
    cause: 'A chain or topic has an empty name, or one that is too long for an object key.',
    remedy: 'Use a name of 1 to 200 characters.',
  },
  'log.format_unsupported': {
    fault: 'config',
    cause: 'The log was written by a version of Sluice whose format this one does not know.',
    remedy: 'Run the version that wrote the log, or a newer one.',
  },
  'log.corrupt': {
    fault: 'config',
    cause: 'An object of the log does not hold what was written: a checksum or a length is wrong.',
    remedy:
      'Restore the object named in the message from a copy or an older object version. Sluice stops rather than skip rows.',
  },
  'log.object_missing': {
    fault: 'config',
    cause:
      'An object that the log refers to is gone: deleted by hand, by a lifecycle rule, or because it lies below the floor of retention.',
    remedy:
      'Remove lifecycle rules from the bucket and restore the object, or let the reader start again at the floor named in the message.',
  },
  'log.offset_unknown': {
    fault: 'config',
    cause: 'The topic has no row at the place asked for.',
    remedy: 'Start at `start`, at `end`, or at an offset between the two.',
  },
  'log.fenced': {
    fault: 'fenced',
    cause: 'Another process took this chain over.',
    remedy:
      'None: the other process goes on from the last commit. Two of them on purpose? Stop one.',
  },
  'log.commit_unresolved': {
    fault: 'transient',
    cause:
      'The store stopped answering during a commit, so that nobody knows yet whether it holds.',
    remedy: 'None: the task opens the chain again, which settles it, and goes on from there.',
  },
  'log.commit_conflict': {
    fault: 'bug',
    cause:
      'Another commit of the same epoch stands where this one was to go; one epoch has one writer.',
    remedy: 'Report it with both commit ids; nothing was overwritten.',
  },
} as const satisfies CodeTable
