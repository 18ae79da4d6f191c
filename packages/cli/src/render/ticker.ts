/** Progress that is told at intervals, however often it changes. */
import { formatDuration } from './bytes.ts';

export interface Ticker<Progress> extends Disposable {
  /** The newest numbers. */
  update(progress: Progress): void;
}

/** Calls `draw` with the newest progress every `intervalMs`; never when that is undefined. */
export function createTicker<Progress>(
  intervalMs: number | undefined,
  draw: (progress: Progress, elapsedMs: number) => void,
): Ticker<Progress> {
  const started = performance.now();
  let newest: Progress | undefined;
  const tick = (): void => {
    if (newest !== undefined) draw(newest, performance.now() - started);
  };
  const timer = intervalMs === undefined ? undefined : setInterval(tick, intervalMs).unref();
  return {
    update(progress) {
      newest = progress;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

/** Milliseconds left at the present pace; undefined when there is no telling. */
export function remainingMs(elapsedMs: number, done: number, total: number | undefined): number | undefined {
  if (total === undefined || done <= 0 || done >= total) return undefined;
  return (elapsedMs * (total - done)) / done;
}

/** For the end of a line; nothing where there is no telling. */
export function etaText(leftMs: number | undefined): string {
  return leftMs === undefined ? '' : ` ETA ${formatDuration(leftMs)}`;
}
