/** Interrupts: the first one lets the work end in good order, the second one does not wait for it. */
import process from 'node:process';

const INTERRUPTED = 130;

export interface Interrupts extends Disposable {
  readonly signal: AbortSignal;
}

/** Listens for SIGINT, SIGTERM and SIGHUP until disposed of. */
export function listenForInterrupts(): Interrupts {
  const controller = new AbortController();
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const interrupt = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    process.stderr.write(`\nsignal ${name} received, cleaning up\n`);
    controller.abort(new Error(name));
  };
  // Who reads the output has gone, as `head` does: the rest of the work is of no use, and its locks must go.
  const closed = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    controller.abort(error);
  };
  for (const name of names) process.on(name, interrupt);
  process.stdout.on('error', closed);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, interrupt);
    },
  };
}
