/**
 * What is said beside "the log was begun anew" where a target has rows beyond the next batch. A sink
 * that was renamed looks the same from its target: a new name is a new task, which begins at the start
 * of its topics. Its rows are those that are there, but nothing in the target tells so, and in an
 * append target they would be there twice; under the old name it goes on where it was.
 */
export const renamedSink =
  'If only the name of the sink was changed: its place in the log goes by that name, so write the old one under `sinks:` again, and it goes on where it was.'
