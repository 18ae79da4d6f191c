import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from './run.ts';
import { PEERS, type PeerName } from './table.ts';

/** A real program that is ready to be run. */
export interface Peer {
  /** Absolute path of the program. */
  readonly path: string;
  readonly version: string;
  /** What its environment must hold, beside what is there: where its own libraries are. */
  readonly env: Readonly<Record<string, string>>;
}

/** Where unpacked programs are kept between runs, outside the checkout. */
export const cacheFolder = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'restic-engine', 'peers');

const RECORD = 'peer.json';

/** What is written beside an unpacked program, last: a folder without it was never finished. */
interface CacheRecord {
  readonly version: string;
  /** SHA-256 of the program, hex. */
  readonly sha256: string;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** The version a program says it has. Rejects when it does not run, does not say, or is one the tests do not know. */
export async function versionOf(name: PeerName, path: string, env: Peer['env'] = {}): Promise<string> {
  const { versionArguments, version, accepts } = PEERS[name];
  const found = version.exec(await run(path, versionArguments, 20, undefined, env))?.[1];
  if (found === undefined) throw new Error(`${path} does not say which version it is`);
  if (!accepts.test(found)) throw new Error(`${path} is version ${found}, wanted is ${accepts.source}`);
  return found;
}

/** A folder in the cache for work in progress; the caller removes it. */
export async function workFolder(): Promise<string> {
  await mkdir(cacheFolder(), { recursive: true });
  return mkdtemp(join(cacheFolder(), '.work-'));
}

/** Unpacks a Debian package. */
export async function unpack(deb: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  try {
    await run('dpkg', ['-x', deb, folder], 120);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('ENOENT'))) throw error;
    const parts = (await run('ar', ['t', deb], 60)).split('\n');
    const data = parts.find((part) => part.startsWith('data.tar'));
    if (data === undefined) throw new Error(`${deb} holds no files`, { cause: error });
    await run('ar', ['x', deb, data], 60, folder);
    await run('tar', ['-xf', data], 120, folder);
    await rm(join(folder, data));
  }
}

const TRIPLETS: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** Where Debian puts libraries, below `/usr/lib` and `/lib`. */
export const libraryTriplet = (): string => TRIPLETS[process.arch] ?? process.arch;

/** Lets a program of the unpacked packages in `folder` find the libraries beside it, private ones of its own included. */
function environmentOf(name: PeerName, folder: string): Peer['env'] {
  if (PEERS[name].companions === undefined) return {};
  const triplet = libraryTriplet();
  const folders = [`usr/lib/${triplet}`, `lib/${triplet}`, `usr/lib/${triplet}/${name}`];
  return { LD_LIBRARY_PATH: folders.map((each) => join(folder, each)).join(':') };
}

/** Unpacks a package, and those that go with it, into the cache and returns its program. */
export async function addToCache(name: PeerName, deb: string, others: readonly string[] = []): Promise<Peer> {
  return keep(name, basename(deb, '.deb'), async (folder) => {
    for (const each of [deb, ...others]) await unpack(each, folder);
  });
}

/**
 * Lets `make` fill a folder and keeps it as `label`, unless there is one already; returns the program in it. Whoever
 * finishes first wins: the folder appears under its name in one step, complete, so several test files may do this at once.
 */
export async function keep(name: PeerName, label: string, make: (folder: string) => Promise<void>): Promise<Peer> {
  const target = join(cacheFolder(), name, label);
  const present = await readCached(name, target);
  if (present !== undefined) return present;
  const work = await workFolder();
  try {
    const folder = join(work, 'unpacked');
    await mkdir(folder);
    await make(folder);
    const binary = join(folder, PEERS[name].binary);
    const version = await versionOf(name, binary, environmentOf(name, folder));
    const record: CacheRecord = { version, sha256: await sha256Of(binary) };
    await writeFile(join(folder, RECORD), JSON.stringify(record));
    await mkdir(join(cacheFolder(), name), { recursive: true });
    await rename(folder, target).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    const added = await readCached(name, target);
    if (added === undefined) throw new Error(`${target} is damaged: remove it`);
    return added;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The program of one cached package; `undefined` when there is none. A damaged one is removed. */
async function readCached(name: PeerName, folder: string): Promise<Peer | undefined> {
  const path = join(folder, PEERS[name].binary);
  try {
    const record = JSON.parse(await readFile(join(folder, RECORD), 'utf8')) as CacheRecord;
    if ((await sha256Of(path)) !== record.sha256) throw new Error(`${path} was changed`);
    const env = environmentOf(name, folder);
    return { path, version: await versionOf(name, path, env), env };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') await rm(folder, { recursive: true, force: true });
    return undefined;
  }
}

/** The newest good program in the cache. */
export async function findCached(name: PeerName): Promise<Peer | undefined> {
  const folders = await readdir(join(cacheFolder(), name)).catch((): string[] => []);
  const newestFirst = folders.sort(new Intl.Collator('en', { numeric: true }).compare).reverse();
  for (const folder of newestFirst) {
    const found = await readCached(name, join(cacheFolder(), name, folder));
    if (found !== undefined) return found;
  }
  return undefined;
}
