import type { Execution } from '../runner/index.js';

/** Whether nobody reads a stream any more: a pipe is closed, or a terminal. */
export function isGone(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'EIO';
}

/**
 * Calls back when the terminal is closed. Only for what has one: `nohup` and services ignore that signal, and a listener
 * would end that.
 * @returns ends it; the signal is ignored from then on, as the process is about to end by itself.
 */
export function onHangUp(listener: () => void): () => void {
  if (process.stdout.isTTY !== true && process.stderr.isTTY !== true) return () => undefined;
  process.on('SIGHUP', listener);
  return () => {
    process.on('SIGHUP', () => undefined);
    process.removeListener('SIGHUP', listener);
  };
}

/** Catches what must not end the process without a report: stray errors (exit 4) and signals (exit 5). */
export function guard(
  run: Pick<Execution, 'harnessFailed' | 'interrupt' | 'over'>,
  /** Writes what there is: the process ends at once. */
  last: () => void,
): { failed: Promise<void>; readonly error: string | undefined; release(): void } {
  let error: string | undefined;
  let fail: () => void = () => undefined;
  const failed = new Promise<void>((resolve) => (fail = resolve));
  const onError = (thrown: unknown): void => {
    run.harnessFailed(thrown);
    error ??= thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    fail();
  };
  const onSignal = (): void => {
    // The second time there is no waiting: what is in the accessory is in the key store for the next run.
    if (run.over) {
      last();
      process.exit(5);
    }
    run.interrupt();
    console.error('hapspec: interrupted: leaving the accessory as it was found (once more to stop at once)');
  };
  // The command line's own handlers would end the process before a report is written.
  const outer = {
    uncaughtException: process.listeners('uncaughtException'),
    unhandledRejection: process.listeners('unhandledRejection'),
  };
  process.removeAllListeners('uncaughtException');
  process.removeAllListeners('unhandledRejection');
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  // A reader such as `head` has what it wanted: the run ends as it does on a signal, and says no more.
  const onBrokenPipe = (error: NodeJS.ErrnoException): void => {
    if (!isGone(error)) onError(error);
    else run.interrupt();
  };
  process.stdout.on('error', onBrokenPipe);
  process.stderr.on('error', onBrokenPipe);
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // A shell and the system both tell of it: the second time is no second wish.
  const stayHungUp = onHangUp(() => run.interrupt());
  return {
    failed,
    get error() {
      return error;
    },
    release: () => {
      process.removeListener('uncaughtException', onError);
      process.removeListener('unhandledRejection', onError);
      for (const listener of outer.uncaughtException) process.on('uncaughtException', listener);
      for (const listener of outer.unhandledRejection) process.on('unhandledRejection', listener);
      process.stdout.removeListener('error', onBrokenPipe);
      process.stderr.removeListener('error', onBrokenPipe);
      process.removeListener('SIGINT', onSignal);
      process.removeListener('SIGTERM', onSignal);
      stayHungUp();
    },
  };
}
