/** Interrupts: the first one lets the work end in good order, the second one does not wait for it. */
import process from 'node:process';

/** Exit status after an interrupt. */
export const INTERRUPTED = 130;

export interface Interrupts extends Disposable {
  readonly signal: AbortSignal;
  /** Why standard output could not be written, the first time. */
  readonly unwritten: Error | undefined;
}

/**
 * Listens for SIGINT and SIGTERM until disposed of. Not for SIGHUP: `restic unlock` sends it to the holders of locks to
 * find out whether they are alive.
 */
export function listenForInterrupts(): Interrupts {
  const controller = new AbortController();
  const names = ['SIGINT', 'SIGTERM'] as const;
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    // On a terminal, after the ^C it shows.
    process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}signal ${name} received, cleaning up\n`);
    controller.abort(new Error(name));
  };
  // Who reads the output has gone, as `head` does: the rest of the work is of no use, and its locks must go.
  let unwritten: Error | undefined;
  const closed = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE') controller.abort(error);
    // The disk with the log of a backup is full, say: that keeps nobody from the backup.
    else unwritten ??= error;
  };
  for (const name of names) process.on(name, interrupt);
  process.stdout.on('error', closed);
  return {
    signal: controller.signal,
    get unwritten() {
      return unwritten;
    },
    [Symbol.dispose]() {
      for (const name of names) process.off(name, interrupt);
    },
  };
}
