/** What the runs of both programs took, and their medians. */
import { median } from '../machine.ts';
import type { Program } from './programs.ts';
import type { Measured } from './spawn.ts';

/** Medians of one operation by one program. */
export interface Figure {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
  /** Wall clock of each run, in order. */
  readonly runs: readonly number[];
}

export type Runs<Operation extends string> = Record<Operation, Record<Program['name'], Measured[]>>;
export type Figures<Operation extends string> = Readonly<Record<Operation, Readonly<Record<Program['name'], Figure>>>>;

/** Where runs are put as they are measured. */
export function noRuns<Operation extends string>(operations: readonly Operation[]): Runs<Operation> {
  return byOperation(operations, () => ({ 'restic-engine': [], restic: [] }));
}

export function figuresOf<Operation extends string>(
  operations: readonly Operation[],
  runs: Runs<Operation>,
): Figures<Operation> {
  return byOperation(operations, (operation) => ({
    'restic-engine': figure(runs[operation]['restic-engine']),
    restic: figure(runs[operation].restic),
  }));
}

function figure(runs: readonly Measured[]): Figure {
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    cpuSeconds: median(runs.map(({ cpuSeconds }) => cpuSeconds)),
    peakRssBytes: Math.max(...runs.map(({ peakRssBytes }) => peakRssBytes)),
    runs: runs.map(({ seconds }) => Number(seconds.toFixed(3))),
  };
}

function byOperation<Operation extends string, T>(
  operations: readonly Operation[],
  value: (operation: Operation) => T,
): Record<Operation, T> {
  return Object.fromEntries(operations.map((operation) => [operation, value(operation)])) as Record<Operation, T>;
}
