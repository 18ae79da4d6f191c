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
  /** Tells the titles that are left: of phases in which there was nothing to do. */
  finish(): void;
}

/** Tells the titles of `phases` in their order, and counts on terminals. With --json nothing is told. */
export function createPhaseReport<Phase extends string>(
  ui: Ui,
  phases: Readonly<Record<Phase, Words>>,
): PhaseReport<Phase> {
  const titles = new Map(Object.entries<Words>(phases));
  let current: { readonly phase: Phase; readonly since: number } | undefined;
  const ticker = createTicker<Counted<Phase>>(
    ui.json ? undefined : ui.intervalMs,
    ({ phase, done, total }, elapsed) => {
      const share = total === undefined ? `${done}` : `${formatPercent(done, total)}  ${done} / ${total}`;
      const left = remainingMs(performance.now() - (current?.since ?? 0), done, total);
      ui.status([`[${formatDuration(elapsed)}] ${share} ${phases[phase].counts}${etaText(left)}`]);
    },
  );
  const tellUpTo = (last: string | undefined): void => {
    if (last !== undefined && !titles.has(last)) return;
    for (const [phase, { title }] of titles) {
      titles.delete(phase);
      if (title !== undefined) ui.say(title);
      if (phase === last) return;
    }
  };
  return {
    onProgress(progress) {
      const { phase } = progress;
      tellUpTo(phase);
      if (current?.phase !== phase) current = { phase, since: performance.now() };
      ticker.update(progress);
    },
    finish: () => tellUpTo(undefined),
    [Symbol.dispose]() {
      ticker[Symbol.dispose]();
      ui.clearStatus();
    },
  };
}
