/** Both programs beside each other on one server, over a short line and over a long one. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { compareTrees } from '../../demo/tree.ts';
import type { Place } from '../../test/servers/server.ts';
import { startProxy } from '../../test/support/proxy.ts';
import type { DataSet } from '../data.ts';
import { figuresOf, noRuns } from '../macro/figures.ts';
import type { Figures, Runs } from '../macro/figures.ts';
import type { Program } from '../macro/programs.ts';
import type { Measured } from '../macro/spawn.ts';
import type { Kind, MeasuredServer } from './kinds.ts';
import { initPlace, runAt } from './places.ts';

export const OPERATIONS = ['backup', 'unchanged backup', 'snapshots', 'ls', 'restore'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** A line to a server: what is added to each round trip, in milliseconds. */
export interface Line {
  readonly name: string;
  readonly roundTripMs: number;
}

export const LINES: readonly Line[] = [
  { name: 'loopback', roundTripMs: 0 },
  { name: '20 ms', roundTripMs: 20 },
];

/** How one comparison is done. */
export interface Comparison {
  readonly both: readonly [Program, Program];
  readonly data: DataSet;
  readonly folder: string;
  readonly runs: number;
  readonly onStep: (step: string) => void;
}

/**
 * Measures all operations `runs` times, each time on a new server, the programs taking turns in changing order. Rejects
 * when a result is not right, before any number is known.
 */
export async function compareOn(kind: Kind, line: Line, comparison: Comparison): Promise<Figures<Operation>> {
  const { both, runs } = comparison;
  const measured = noRuns(OPERATIONS);
  for (let run = 0; run < runs; run++) {
    await using server = await kind.start();
    const onStep = (step: string): void =>
      comparison.onStep(`${kind.name} at ${line.name}, run ${run + 1} of ${runs}: ${step}`);
    const turn = run % 2 === 0 ? both : both.toReversed();
    await oneRun(server, line, { ...comparison, onStep }, turn, measured);
    if (run === 0) await checkRepository(server, comparison);
  }
  return figuresOf(OPERATIONS, measured);
}

async function oneRun(
  server: MeasuredServer,
  line: Line,
  { both: [ours], data, folder, onStep }: Comparison,
  turn: readonly Program[],
  measured: Runs<Operation>,
): Promise<void> {
  for (const program of turn) await initPlace(await server.place(program.name, ours));
  await using proxy = await startProxy({ target: server.port, delayMs: line.roundTripMs / 2 });
  const through = line.roundTripMs > 0 ? { port: proxy.port } : {};
  for (const operation of OPERATIONS) {
    for (const program of turn) {
      onStep(`${operation} by ${program.name}`);
      const place = await server.place(program.name, program, through);
      measured[operation][program.name].push(await perform(program, operation, place, data, folder));
      if (operation === 'restore') await checkRestored(program, data, folder);
    }
  }
}

const restoredBy = (program: Program, folder: string): string => join(folder, `restored-${program.name}`);

function perform(
  program: Program,
  operation: Operation,
  place: Place,
  data: DataSet,
  folder: string,
): Promise<Measured> {
  const latest = `latest:${data.folder}`;
  const words: Readonly<Record<Operation, readonly string[]>> = {
    backup: ['backup', data.folder],
    'unchanged backup': ['backup', data.folder],
    snapshots: ['snapshots'],
    ls: ['ls', 'latest'],
    restore: ['restore', latest, '--target', restoredBy(program, folder)],
  };
  return runAt(place, program, words[operation]);
}

async function checkRestored(program: Program, data: DataSet, folder: string): Promise<void> {
  const restored = restoredBy(program, folder);
  const { differences } = await compareTrees(data.folder, restored, new AbortController().signal);
  if (differences.length > 0) {
    throw new Error(`${program.name} restored something else: ${differences.slice(0, 5).join('; ')}`);
  }
  await rm(restored, { recursive: true });
}

/** restic reads all that we have stored. */
async function checkRepository(server: MeasuredServer, { both: [ours, restic], onStep }: Comparison): Promise<void> {
  onStep('restic checks what restic-engine stored');
  await runAt(await server.place(ours.name, restic), restic, ['check', '--read-data']);
}
