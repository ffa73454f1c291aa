/**
 * Imported before everything else: an error nobody caught must not end the process with code 1, which would read as
 * "the accessory does not conform", nor with a stack trace.
 */
function failed(error: unknown): never {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  process.stderr.write(`hapspec: the harness failed: ${what}\n`);
  process.exit(4);
}

process.on('uncaughtException', failed);
process.on('unhandledRejection', failed);
