/** The comparison: the same operations on the same data by both programs, in turns. */
import { cp, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { initRepository, localBackend } from 'restic-engine';
import { compareTrees } from '../../demo/tree.ts';
import type { DataSet } from '../data.ts';
import { figuresOf, noRuns } from './figures.ts';
import type { Figures } from './figures.ts';
import { halve } from './halve.ts';
import { primitiveSeconds } from './limit.ts';
import { PASSWORD, type Program } from './programs.ts';

/** In the order in which they are run; each finds what those before it left. */
const ARGUMENTS = {
  'first backup': (_, { folder }) => ['backup', folder],
  'unchanged backup': (_, { folder }) => ['backup', folder],
  'backup --force': (_, { folder }) => ['backup', '--force', folder],
  restore: (place, { folder }) => ['restore', `latest:${folder}`, '--target', place.restored],
  snapshots: () => ['snapshots'],
  ls: () => ['ls', 'latest'],
  find: () => ['find', '*9.txt'],
  stats: () => ['stats'],
  check: () => ['check'],
  'check --read-data': () => ['check', '--read-data'],
  prune: () => ['prune', '--max-unused', '0'],
} satisfies Record<string, (place: Place, data: DataSet) => readonly string[]>;

export type Operation = keyof typeof ARGUMENTS;
export const OPERATIONS = Object.keys(ARGUMENTS) as readonly Operation[];

/** Where one program has its things. */
interface Place {
  readonly repository: string;
  readonly restored: string;
}

export interface SetResult {
  readonly set: string;
  readonly about: string;
  readonly files: number;
  readonly bytes: number;
  readonly figures: Figures<Operation>;
  /** Bytes of the repository after the first backup. */
  readonly storedBytes: Readonly<Record<Program['name'], number>>;
  /** Processor time of the primitives alone for the first backup. */
  readonly primitiveSeconds: number;
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
    for (const program of turn) await cp(template, placeOf(program, folder).repository, { recursive: true });
    for (const operation of OPERATIONS) {
      for (const program of turn) {
        onStep(`${data.name}, run ${run + 1} of ${runs}: ${operation} by ${program.name}`);
        const place = placeOf(program, folder);
        await fillMemory(folder, data.bytes);
        if (operation === 'prune') await halve(place.repository);
        const args = ARGUMENTS[operation](place, data);
        measured[operation][program.name].push(await program.run(['--repo', place.repository, ...args]));
        if (operation === 'first backup') stored[program.name] = await sizeOf(place.repository);
        if (operation === 'restore') await checkRestored(program, data, folder, run, onStep);
      }
      if (run === 0 && operation === 'restore') await checkRepository(both, data, folder, onStep);
    }
    if (run === 0) await checkPruned(both, folder);
    for (const program of both) await rm(placeOf(program, folder).repository, { recursive: true });
  }
  await rm(template, { recursive: true });
  const { name, about, files, bytes } = data;
  onStep(`${name}: the primitives alone`);
  return {
    set: name,
    about,
    files,
    bytes,
    figures: figuresOf(OPERATIONS, measured),
    storedBytes: stored,
    primitiveSeconds: primitiveSeconds(data.folder),
  };
}

const placeOf = ({ name }: Program, folder: string): Place => ({
  repository: join(folder, `repository-${name}`),
  restored: join(folder, `restored-${name}`),
});

/**
 * Writes as much as an operation may, and removes it: a virtual machine gives free memory back to its host, and whoever
 * writes to it first pays for getting it again, which took restores half as long again for whichever program came first.
 */
async function fillMemory(folder: string, bytes: number): Promise<void> {
  const path = join(folder, 'fill');
  const piece = new Uint8Array(16 * 2 ** 20);
  const file = await open(path, 'w');
  for (let written = 0; written < bytes; written += piece.length) await file.write(piece);
  await file.close();
  await rm(path);
}

/** The first restore of each program is compared byte by byte; all must have left the right number of entries. */
async function checkRestored(
  program: Program,
  data: DataSet,
  folder: string,
  run: number,
  onStep: (step: string) => void,
): Promise<void> {
  const { restored } = placeOf(program, folder);
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
  const repository = ['--repo', placeOf(ours, folder).repository];
  onStep(`${data.name}: restic checks what restic-engine stored`);
  await restic.run([...repository, 'check', '--read-data']);
  const target = join(folder, 'restored-by-the-other');
  await mkdir(target);
  await restic.run([...repository, 'restore', `latest:${data.folder}`, '--target', target]);
  const { differences } = await compareTrees(data.folder, target, new AbortController().signal);
  if (differences.length > 0) throw new Error(`restic restores something else: ${differences.slice(0, 5).join('; ')}`);
  await rm(target, { recursive: true });
}

/** Both have removed the same, and each finds what the other left complete. */
async function checkPruned([ours, restic]: readonly [Program, Program], folder: string): Promise<void> {
  const [own, other] = [placeOf(ours, folder).repository, placeOf(restic, folder).repository];
  await restic.run(['--repo', own, 'check']);
  await ours.run(['--repo', other, 'check']);
  const [size, otherSize] = [await sizeOf(own), await sizeOf(other)];
  if (size > otherSize * 1.05)
    throw new Error(`after prune there are ${size} bytes by restic-engine, ${otherSize} by restic`);
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
