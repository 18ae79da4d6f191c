/** Contenders in turns: each round runs every one of them for a moment, and the median of the rounds counts. */
import { median } from '../machine.ts';

export interface Contender {
  readonly name: string;
  /** Does the work once. What it returns is looked at, so that no compiler drops the work. */
  run(): unknown;
}

export interface Contest {
  readonly title: string;
  /** What one run is worth: bytes, or things. */
  readonly amount: number;
  readonly unit: 'MiB/s' | 'k/s';
  readonly contenders: readonly Contender[];
}

export interface Score {
  readonly name: string;
  /** In the unit of the contest. */
  readonly speed: number;
}

export interface ContestResult {
  readonly title: string;
  readonly unit: Contest['unit'];
  readonly scores: readonly Score[];
}

const ROUNDS = 9;
const SLICE_MS = 40;

let seen: unknown;

/** Runs a contest; the first round warms up and does not count. */
export function compete({ title, amount, unit, contenders }: Contest): ContestResult {
  const speeds = contenders.map((): number[] => []);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, contender] of contenders.entries()) {
      const speed = (amount / slice(contender)) * (unit === 'MiB/s' ? 1000 / 2 ** 20 : 1);
      if (round > 0) speeds[i]?.push(speed);
    }
  }
  return { title, unit, scores: contenders.map(({ name }, i) => ({ name, speed: median(speeds[i] ?? []) })) };
}

/** Milliseconds a run takes, over as many runs as fit. */
function slice(contender: Contender): number {
  const since = performance.now();
  let runs = 0;
  do {
    seen = contender.run();
    runs += 1;
  } while (performance.now() - since < SLICE_MS);
  if (seen === undefined) throw new TypeError(`${contender.name} gave nothing`);
  return (performance.now() - since) / runs;
}

/** As lines for people; the first contender is what the others are measured against. */
export function lines({ title, unit, scores }: ContestResult): string {
  const first = scores[0]?.speed ?? Number.NaN;
  const rows = scores.map(({ name, speed }) => {
    const digits = speed < 10 ? 2 : 0;
    return `  ${name.padEnd(34)} ${speed.toFixed(digits).padStart(9)} ${unit}  ${(speed / first).toFixed(2)}×`;
  });
  return [title, ...rows].join('\n');
}
