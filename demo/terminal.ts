/** How the demo looks: sizes, lines of the report, and one line of progress on a terminal. */

export const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
export const count = (number: number, noun: string): string =>
  `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
export const speed = (bytes: number, ms: number): string => `${(bytes / 2 ** 20 / (ms / 1000)).toFixed(0)} MiB/s`;

const MAX_TEXT = 70;

/** A long path keeps its two ends. */
export const shortened = (path: string): string =>
  path.length <= MAX_TEXT ? path : `${path.slice(0, MAX_TEXT / 2 - 1)}…${path.slice(-MAX_TEXT / 2)}`;

/** One line of the report. */
export function tell(what: string, ...details: readonly string[]): void {
  console.log(`${what.padEnd(16)} ${details.join(', ')}`);
}

const BAR = 30;
const EVERY_MS = 100;

/** A line on the terminal that says how far something has got; silent where stderr is no terminal. */
export class ProgressLine {
  readonly #what: string;
  #shownAt = 0;

  constructor(what: string) {
    this.#what = what;
  }

  show(done: number, total: number | undefined, details: string): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#shownAt < EVERY_MS) return;
    this.#shownAt = now;
    const line = `${this.#what.padEnd(16)} ${total === undefined || total === 0 ? '' : bar(done / total)}${details}`;
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

function bar(share: number): string {
  const filled = '█'.repeat(Math.round(Math.min(share, 1) * BAR)).padEnd(BAR, '░');
  return `${filled} ${(Math.min(share, 1) * 100).toFixed(0).padStart(3)} %  `;
}
