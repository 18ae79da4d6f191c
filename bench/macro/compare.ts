/** The comparison: the same operations on the same data by both programs, in turns. */
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { initRepository, localBackend } from 'restic-engine';
import { compareTrees } from '../../demo/tree.ts';
import type { DataSet } from '../data.ts';
import { figuresOf, noRuns } from './figures.ts';
import type { Figures } from './figures.ts';
import { PASSWORD, type Program } from './programs.ts';
import type { Measured } from './spawn.ts';

export const OPERATIONS = ['first backup', 'unchanged backup', 'backup --force', 'restore'] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface SetResult {
  readonly set: string;
  readonly about: string;
  readonly files: number;
  readonly bytes: number;
  readonly figures: Figures<Operation>;
  /** Bytes of the repository after the first backup. */
  readonly storedBytes: Readonly<Record<Program['name'], number>>;
}

/** The same cost of opening the key for both; small beside the operations. */
const KDF = { N: 32_768, r: 8, p: 1 };

/**
 * Measures all operations `runs` times. Both programs start from copies of one repository, so they have the same key and
 * cut files alike, and take turns in changing order. Rejects when a result is not right, before any number is known.
 */
export async function compare(
  both: readonly [Program, Program],
  data: DataSet,
  folder: string,
  runs: number,
  onStep: (step: string) => void,
): Promise<SetResult> {
  const template = join(folder, 'template');
  await initRepository({ backend: localBackend(template), password: PASSWORD, kdf: KDF });
  const measured = noRuns(OPERATIONS);
  const stored = { 'restic-engine': 0, restic: 0 };
  for (let run = 0; run < runs; run++) {
    const turn = run % 2 === 0 ? both : both.toReversed();
    for (const program of turn) await cp(template, repositoryOf(program, folder), { recursive: true });
    for (const operation of OPERATIONS) {
      for (const program of turn) {
        onStep(`${data.name}, run ${run + 1} of ${runs}: ${operation} by ${program.name}`);
        measured[operation][program.name].push(await perform(program, operation, data, folder));
        if (operation === 'first backup') stored[program.name] = await sizeOf(repositoryOf(program, folder));
        if (operation === 'restore') await checkRestored(program, data, folder, run, onStep);
      }
    }
    if (run === 0) await checkRepository(both, data, folder, onStep);
    for (const program of both) await rm(repositoryOf(program, folder), { recursive: true });
  }
  await rm(template, { recursive: true });
  const { name, about, files, bytes } = data;
  return { set: name, about, files, bytes, figures: figuresOf(OPERATIONS, measured), storedBytes: stored };
}

const repositoryOf = (program: Program, folder: string): string => join(folder, `repository-${program.name}`);
const restoredBy = (program: Program, folder: string): string => join(folder, `restored-${program.name}`);

async function perform(program: Program, operation: Operation, data: DataSet, folder: string): Promise<Measured> {
  const repository = ['--repo', repositoryOf(program, folder)];
  if (operation === 'restore') {
    return program.run([...repository, 'restore', `latest:${data.folder}`, '--target', restoredBy(program, folder)]);
  }
  const force = operation === 'backup --force' ? ['--force'] : [];
  return program.run([...repository, 'backup', ...force, data.folder]);
}

/** The first restore of each program is compared byte by byte; all must have left the right number of entries. */
async function checkRestored(
  program: Program,
  data: DataSet,
  folder: string,
  run: number,
  onStep: (step: string) => void,
): Promise<void> {
  const restored = restoredBy(program, folder);
  if (run === 0) {
    onStep(`${data.name}: comparing what ${program.name} restored`);
    const { differences } = await compareTrees(data.folder, restored, new AbortController().signal);
    if (differences.length > 0) {
      throw new Error(`${program.name} restored something else: ${differences.slice(0, 5).join('; ')}`);
    }
  }
  const files = (await readdir(restored, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  if (files.length !== data.files) throw new Error(`${program.name} restored ${files.length} of ${data.files} files`);
  await rm(restored, { recursive: true });
}

/** restic reads all of our repository, and restores from it what was backed up. */
async function checkRepository(
  [ours, restic]: readonly [Program, Program],
  data: DataSet,
  folder: string,
  onStep: (step: string) => void,
): Promise<void> {
  const repository = ['--repo', repositoryOf(ours, folder)];
  onStep(`${data.name}: restic checks what restic-engine stored`);
  await restic.run([...repository, 'check', '--read-data']);
  const target = join(folder, 'restored-by-the-other');
  await mkdir(target);
  await restic.run([...repository, 'restore', `latest:${data.folder}`, '--target', target]);
  const { differences } = await compareTrees(data.folder, target, new AbortController().signal);
  if (differences.length > 0) throw new Error(`restic restores something else: ${differences.slice(0, 5).join('; ')}`);
  await rm(target, { recursive: true });
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
