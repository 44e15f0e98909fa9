/**
 * Ends a test file that does not come to an end by itself, as a failure that says what held it. Node's
 * `--test-timeout` ends single tests, but waits without end for the process of a file in which a server is
 * still listening or a child still runs (Node 24.21). Loaded by `--import` into every test process.
 */
const minutes = 12

// The runner itself loads it too, and runs for as long as all files together.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  setTimeout(() => {
    const held = process.getActiveResourcesInfo().join(', ')
    process.stderr.write(
      `TIME IS OVER: ${process.argv[1]} ran for ${minutes} min, held by: ${held}\n`,
    )
    process.exit(1)
  }, minutes * 60_000).unref()
}
