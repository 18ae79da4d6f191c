import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { downloadSource } from './apt.ts';
import { cacheFolder, findCached, keep, type Peer, unpack } from './cache.ts';
import { PEERS, type BuildFacts, type PeerName } from './table.ts';

/** Builds a program from Debian's source, which takes minutes and gigabytes for as long as it lasts, into the cache. */
export function buildPeer(name: PeerName, facts: BuildFacts): Promise<Peer> {
  return buildAlone(name, (folder) => buildIn(folder, name, facts));
}

/**
 * Lets `build` add a program to the cache, unless it is there: of several processes one does, and the others wait for it.
 * The empty folder that it gets has a fixed name, so that the next build removes what an interrupted one has left.
 */
export async function buildAlone(name: PeerName, build: (folder: string) => Promise<Peer>): Promise<Peer> {
  await mkdir(cacheFolder(), { recursive: true });
  const folder = join(cacheFolder(), `.build-${name}`);
  const lock = `${folder}.lock`;
  await takeLock(lock);
  try {
    const built = await findCached(name);
    if (built !== undefined) return built;
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    return await build(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(lock, { force: true });
  }
}

async function buildIn(folder: string, name: PeerName, { tools, build }: BuildFacts): Promise<Peer> {
  const { suite, debian, binary } = PEERS[name];
  const places = { packages: join(folder, 'packages'), tools: join(folder, 'tools'), work: join(folder, 'work') };
  for (const each of Object.values(places)) await mkdir(each);
  await downloadSource(suite, debian, tools, places.packages);
  const files = await readdir(places.packages);
  const tarball = files.find((each) => /\.orig\.tar\.\w+$/.test(each));
  if (tarball === undefined) throw new Error(`apt-get downloaded no source of ${debian}`);
  for (const deb of files.filter((each) => each.endsWith('.deb'))) {
    await unpack(join(places.packages, deb), places.tools);
  }
  return keep(name, tarball.replace(/\.orig\.tar\.\w+$/, ''), (target) =>
    build({ ...places, tarball: join(places.packages, tarball), program: join(target, binary) }),
  );
}

const LOOK_EVERY_MS = 500;
/** Nobody builds for this long: then the number belongs to another process meanwhile. */
const LOCK_LASTS_MS = 30 * 60 * 1000;

/**
 * Waits for the lock, a file with the number of the process that holds it. One whose process has died is taken over; two
 * that do so at the same moment would both build, and the first to finish wins.
 */
async function takeLock(path: string): Promise<void> {
  for (;;) {
    try {
      return await writeFile(path, String(process.pid), { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (await isHeld(path)) await sleep(LOOK_EVERY_MS);
    else await rm(path, { force: true });
  }
}

async function isHeld(path: string): Promise<boolean> {
  const [age, holder] = await Promise.all([
    stat(path).then(({ mtimeMs }) => Date.now() - mtimeMs),
    readFile(path, 'utf8').then(Number),
  ]).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return [Number.POSITIVE_INFINITY, 0] as const;
  });
  if (age > LOCK_LASTS_MS) return false;
  try {
    // The number may not have been written yet.
    return holder === 0 || process.kill(holder, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
