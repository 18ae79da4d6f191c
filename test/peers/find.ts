import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { download } from './apt.ts';
import { buildPeer } from './build.ts';
import { addToCache, cacheFolder, findCached, type Peer, versionOf, workFolder } from './cache.ts';
import { PEERS, type PeerName } from './table.ts';

/** Where a peer was found, or why not. */
export type Finding =
  | { readonly peer: Peer; readonly from: 'packages folder' | 'cache' | 'Debian' | 'PATH' }
  | { readonly peer: undefined; readonly reasons: readonly string[] };

/** A download that failed is not tried again by every test file of a run. */
const RETRY_AFTER_MS = 10 * 60 * 1000;

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: 'i386', arm: 'armhf' };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Adds a peer from the packages in `folder`; where it is made of several packages, all that are there belong to it. */
async function addFrom(folder: string, name: PeerName): Promise<Peer | undefined> {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const names = await readdir(folder);
  const fitting = names.filter((each) => each.endsWith(`_${architecture}.deb`) || each.endsWith('_all.deb'));
  const deb = fitting.find((each) => each.startsWith(`${PEERS[name].debian}_`));
  if (deb === undefined) return undefined;
  const others = PEERS[name].companions === undefined ? [] : fitting.filter((each) => each !== deb);
  const path = (each: string): string => join(folder, each);
  return addToCache(name, path(deb), others.map(path));
}

/** A peer of several packages has a folder of its own there, so that its libraries are not mixed with others'. */
async function fromPackagesFolder(name: PeerName): Promise<Peer | undefined> {
  const root = process.env['RESTIC_ENGINE_PEERS_DEBS'];
  if (!root || PEERS[name].build !== undefined) return undefined;
  const folder = PEERS[name].companions === undefined ? root : join(root, name);
  return (await stat(folder).catch(() => undefined)) && addFrom(folder, name);
}

const failureMark = (name: PeerName): string => join(cacheFolder(), `download-failed-${name}`);

/** Why a test does not try to get a program: it failed in the last minutes, or would take minutes. */
async function reasonNotToTry(name: PeerName): Promise<string | undefined> {
  if (PEERS[name].build !== undefined) return 'it has not been built: pnpm peers';
  const mark = await stat(failureMark(name)).catch(() => undefined);
  if (mark === undefined || Date.now() - mark.mtimeMs > RETRY_AFTER_MS) return undefined;
  return `a few minutes ago: ${await readFile(failureMark(name), 'utf8')}`;
}

async function fromDebian(name: PeerName): Promise<Peer> {
  const { build } = PEERS[name];
  try {
    const added = await (build === undefined ? fetchPackage(name) : buildPeer(name, build));
    await rm(failureMark(name), { force: true });
    return added;
  } catch (error) {
    await mkdir(cacheFolder(), { recursive: true });
    await writeFile(failureMark(name), messageOf(error));
    throw error;
  }
}

async function fetchPackage(name: PeerName): Promise<Peer> {
  const work = await workFolder();
  try {
    const { suite, debian, companions } = PEERS[name];
    await download(suite, [debian, ...(companions ?? [])], work, { libraries: companions !== undefined });
    const added = await addFrom(work, name);
    if (added === undefined) throw new Error(`apt-get downloaded no ${debian}`);
    return added;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fromPath(name: PeerName): Promise<Peer | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, PEERS[name].command);
    if (await stat(path).catch(() => undefined)) return { path, version: await versionOf(name, path), env: {} };
  }
  return undefined;
}

/**
 * Looks for a peer in the folder RESTIC_ENGINE_PEERS_DEBS names, in the cache, in Debian and on PATH, in this order.
 * With `patient: false` nothing is built, and a download that failed in the last minutes is not tried again.
 */
export async function findPeer(name: PeerName, { patient }: { patient: boolean }): Promise<Finding> {
  const reasons: string[] = [];
  const attempt = async (find: () => Promise<Peer | undefined>, otherwise?: string): Promise<Peer | undefined> => {
    try {
      const found = await find();
      if (found === undefined && otherwise !== undefined) reasons.push(otherwise);
      return found;
    } catch (error) {
      reasons.push(messageOf(error));
      return undefined;
    }
  };
  const given = await attempt(() => fromPackagesFolder(name));
  if (given) return { peer: given, from: 'packages folder' };
  const cached = await attempt(() => findCached(name));
  if (cached) return { peer: cached, from: 'cache' };
  const failure = patient ? undefined : await reasonNotToTry(name);
  if (failure === undefined) {
    const fetched = await attempt(() => fromDebian(name));
    if (fetched) return { peer: fetched, from: 'Debian' };
  } else reasons.push(failure);
  const installed = await attempt(() => fromPath(name), `no ${PEERS[name].command} on PATH`);
  return installed ? { peer: installed, from: 'PATH' } : { peer: undefined, reasons };
}
