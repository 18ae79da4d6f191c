/**
 * The data that whole operations are measured on, made once into a cache folder: real text and real programs (the
 * pinned packages of this checkout), cut and shuffled by a fixed seed so that nothing repeats for long, and random bytes.
 */
import { createCipheriv } from 'node:crypto';
import { createWriteStream, globSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type DataName = 'large' | 'small';
/** `quick` is for a look in between, `full` for numbers to show. */
export type Form = 'quick' | 'full';

export interface DataSet {
  readonly name: DataName;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
  /** What is in it, in a few words. */
  readonly about: string;
}

const MIB: number = 2 ** 20;
/** Data made by another recipe lives in another folder. */
const RECIPE = 'v1';

interface Recipe {
  readonly about: string;
  fill(folder: string): Promise<void>;
}

const RECIPES: Readonly<Record<DataName, Readonly<Record<Form, Recipe>>>> = {
  large: {
    quick: {
      about: 'large files: 288 MiB of text, 96 MiB of programs, 128 MiB random',
      fill: (folder) => fillLarge(folder, { text: 288, programs: 96, random: 128 }),
    },
    full: {
      about: 'large files: 1152 MiB of text, 448 MiB of programs, 512 MiB random',
      fill: (folder) => fillLarge(folder, { text: 1152, programs: 448, random: 512 }),
    },
  },
  small: {
    quick: { about: '40,000 small files of text, 4 KiB on average', fill: (folder) => fillSmall(folder, 4 * 1024) },
    full: { about: '40,000 small files of text, 16 KiB on average', fill: (folder) => fillSmall(folder, 16.6 * 1024) },
  },
};

const SMALL_FILES = 40_000;
const FILES_A_FOLDER = 50;
const FOLDERS_A_FOLDER = 20;

/** Where data sets are kept between runs, outside the checkout. */
export const benchCache = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'restic-engine', 'bench');

/** A data set, made unless it is there already. */
export async function dataSet(name: DataName, form: Form): Promise<DataSet> {
  const folder = join(benchCache(), RECIPE, `${name}-${form}`);
  const { about, fill } = RECIPES[name][form];
  if ((await stat(folder).catch(() => undefined)) === undefined) {
    const work = `${folder}.${process.pid}`;
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    await fill(work);
    await rename(work, folder);
  }
  return { name, folder, about, ...(await countOf(folder)) };
}

async function countOf(folder: string): Promise<{ files: number; bytes: number }> {
  let files = 0;
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return { files, bytes };
}

/** Numbers below `limit`, the same in every run (mulberry32). */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** Random bytes that are the same in every run: the key stream of a cipher. */
export function randomStream(seed: number): (length: number) => Uint8Array {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, seed), Buffer.alloc(16));
  const zeros = new Uint8Array(MIB);
  return (length) => cipher.update(length === MIB ? zeros : new Uint8Array(length));
}

const packages: string = join(import.meta.dirname, '..', 'node_modules', '.pnpm');

function corpus(pattern: string, minSize: number, maxSize: number): Buffer {
  const found = globSync(pattern, { cwd: packages }).sort();
  const parts: Buffer[] = [];
  for (const path of found) {
    const { size, isFile } = fileFacts(join(packages, path));
    if (isFile && size >= minSize && size <= maxSize) parts.push(readFileSync(join(packages, path)));
  }
  return Buffer.concat(parts);
}

function fileFacts(path: string): { size: number; isFile: boolean } {
  const facts = statSync(path);
  return { size: facts.size, isFile: facts.isFile() };
}

const text = (): Buffer => corpus('**/*.{js,mjs,cjs,ts,json,map,md}', 200, 16 * MIB);
const programs = (): Buffer => corpus('**/{node,biome,tsc,*.node}', 8 * MIB, 256 * MIB);

/** Pieces of `material` in random order until there are `bytes` of them. */
function* shuffled(material: Buffer, bytes: number, seed: number, pieceBytes: number): Generator<Uint8Array> {
  const below = randomNumbers(seed);
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, pieceBytes / 4 + below(pieceBytes));
    const at = below(material.length - length);
    yield material.subarray(at, at + length);
    left -= length;
  }
}

async function fillLarge(folder: string, mib: { text: number; programs: number; random: number }): Promise<void> {
  const save = async (name: string, parts: Iterable<Uint8Array>): Promise<void> => {
    await pipeline(Readable.from(parts), createWriteStream(join(folder, name)));
    await utimes(join(folder, name), 1_700_000_000.5, 1_700_000_000.5);
  };
  const archives = 4;
  const material = text();
  for (let i = 0; i < archives; i++) {
    await save(`text-${i}.tar`, shuffled(material, (mib.text / archives) * MIB, i, 32 * 1024));
  }
  await save('programs.img', shuffled(programs(), mib.programs * MIB, archives, 256 * 1024));
  const random = randomStream(1);
  const pieces = function* (): Generator<Uint8Array> {
    for (let i = 0; i < mib.random; i++) yield random(MIB);
  };
  await save('random.bin', pieces());
}

async function fillSmall(folder: string, meanBytes: number): Promise<void> {
  const material = text();
  const below = randomNumbers(2);
  for (let i = 0; i < SMALL_FILES; i++) {
    const branch = Math.floor(i / FILES_A_FOLDER);
    const path = join(folder, `part-${Math.floor(branch / FOLDERS_A_FOLDER)}`, `folder-${branch}`, `file-${i}.txt`);
    if (i % FILES_A_FOLDER === 0) await mkdir(dirname(path), { recursive: true });
    // Exponential sizes: many short files, some long ones, as in source trees.
    const length = Math.min(Math.ceil(-Math.log(1 - below(1e6) / 1e6) * meanBytes) + 1, 500_000);
    const at = below(material.length - length);
    await writeFile(path, material.subarray(at, at + length));
    const time = 1_600_000_000 + i + below(1000) / 1000;
    await utimes(path, time, time);
  }
}
