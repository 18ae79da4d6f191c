import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { downloadFromSid } from './apt.ts';
import { addToCache, cacheFolder, findCached, type Peer, versionOf, workFolder } from './cache.ts';
import { PEERS, type PeerName } from './table.ts';

/** Where a peer was found, or why not. */
export type Finding =
  | { readonly peer: Peer; readonly from: 'packages folder' | 'cache' | 'Debian sid' | 'PATH' }
  | { readonly peer: undefined; readonly reasons: readonly string[] };

/** A download that failed is not tried again by every test file of a run. */
const RETRY_AFTER_MS = 10 * 60 * 1000;

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', ia32: 'i386', arm: 'armhf' };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function debIn(folder: string, name: PeerName): Promise<string | undefined> {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const names = await readdir(folder);
  const deb = names.find((each) => {
    return (
      each.startsWith(`${PEERS[name].debian}_`) && (each.endsWith(`_${architecture}.deb`) || each.endsWith('_all.deb'))
    );
  });
  return deb === undefined ? undefined : join(folder, deb);
}

async function fromPackagesFolder(name: PeerName): Promise<Peer | undefined> {
  const folder = process.env['RESTIC_ENGINE_PEERS_DEBS'];
  if (!folder) return undefined;
  const deb = await debIn(folder, name);
  return deb === undefined ? undefined : addToCache(name, deb);
}

const failureMark = (): string => join(cacheFolder(), 'download-failed');

/** Why a download failed in the last minutes; `undefined` when none did. */
async function lateFailure(): Promise<string | undefined> {
  const mark = await stat(failureMark()).catch(() => undefined);
  if (mark === undefined || Date.now() - mark.mtimeMs > RETRY_AFTER_MS) return undefined;
  return readFile(failureMark(), 'utf8');
}

async function fromSid(name: PeerName): Promise<Peer> {
  const work = await workFolder();
  try {
    await downloadFromSid([PEERS[name].debian], work);
    const deb = await debIn(work, name);
    if (deb === undefined) throw new Error(`apt-get downloaded no ${PEERS[name].debian}`);
    const added = await addToCache(name, deb);
    await rm(failureMark(), { force: true });
    return added;
  } catch (error) {
    await writeFile(failureMark(), messageOf(error));
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fromPath(name: PeerName): Promise<Peer | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, PEERS[name].command);
    if (await stat(path).catch(() => undefined)) return { path, version: await versionOf(name, path) };
  }
  return undefined;
}

/**
 * Looks for a peer in the folder RESTIC_ENGINE_PEERS_DEBS names, in the cache, in Debian sid and on PATH, in this order.
 * With `patient: false` a download that failed in the last minutes is not tried again.
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
  const failure = patient ? undefined : await lateFailure();
  if (failure === undefined) {
    const fetched = await attempt(() => fromSid(name));
    if (fetched) return { peer: fetched, from: 'Debian sid' };
  } else reasons.push(`a few minutes ago: ${failure}`);
  const installed = await attempt(() => fromPath(name), `no ${PEERS[name].command} on PATH`);
  return installed ? { peer: installed, from: 'PATH' } : { peer: undefined, reasons };
}
