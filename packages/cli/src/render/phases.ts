/** The progress of work that has several phases, each counting something of its own. */
import type { Ui } from '../ui.ts';
import { formatDuration, formatPercent } from './bytes.ts';
import { createTicker, etaText, remainingMs } from './ticker.ts';

interface Counted<Phase extends string> {
  readonly phase: Phase;
  readonly done: number;
  readonly total?: number | undefined;
}

/** How a phase is told: its first line, and what it counts. */
interface Words {
  readonly title?: string | undefined;
  readonly counts: string;
}

export interface PhaseReport<Phase extends string> extends Disposable {
  onProgress(progress: Counted<Phase>): void;
  /** Leaves the count that stands, before something else is told. */
  settle(): void;
  /** Tells the titles that are left: of phases in which there was nothing to do. */
  finish(): void;
}

/**
 * Tells the titles of `phases` in their order, and counts on terminals, where what has a title leaves its last count
 * below it. With --json nothing is told.
 */
export function createPhaseReport<Phase extends string>(
  ui: Ui,
  phases: Readonly<Record<Phase, Words>>,
): PhaseReport<Phase> {
  const titles = new Map(Object.entries<Words>(phases));
  let current: { readonly phase: Phase; readonly since: number } | undefined;
  let last: { readonly progress: Counted<Phase>; readonly elapsed: number } | undefined;
  const started = performance.now();
  const ticker = createTicker<Counted<Phase>>(ui.json ? undefined : ui.intervalMs, (progress, elapsed) => {
    const left = remainingMs(performance.now() - (current?.since ?? 0), progress.done, progress.total);
    ui.status([countLine(progress, elapsed) + etaText(left)]);
  });
  const countLine = ({ phase, done, total }: Counted<Phase>, elapsed: number): string => {
    const share = total === undefined ? `${done}` : `${formatPercent(done, total)}  ${done} / ${total}`;
    return `[${formatDuration(elapsed)}] ${share} ${phases[phase].counts}`;
  };
  const leaveCount = (): void => {
    if (last !== undefined && ui.terminal && phases[last.progress.phase].title !== undefined)
      ui.say(countLine(last.progress, last.elapsed));
    last = undefined;
  };
  const tellUpTo = (wanted: string | undefined): void => {
    if (wanted !== undefined && !titles.has(wanted)) return;
    leaveCount();
    for (const [phase, { title }] of titles) {
      titles.delete(phase);
      if (title !== undefined) ui.say(title);
      if (phase === wanted) return;
    }
  };
  return {
    onProgress(progress) {
      const { phase } = progress;
      if (current?.phase !== phase) current = { phase, since: performance.now() };
      tellUpTo(phase);
      last = { progress, elapsed: performance.now() - started };
      ticker.update(progress);
    },
    settle: leaveCount,
    finish: () => tellUpTo(undefined),
    [Symbol.dispose]() {
      ticker[Symbol.dispose]();
      ui.clearStatus();
    },
  };
}
