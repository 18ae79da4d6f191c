/**
 * Backs up a made-up stream in this process and tells how much memory it took; `memory/run.ts` starts it.
 * Half of the stream is random and new, half of it zeros, in turns of 64 MiB.
 */
import { randomFillSync } from 'node:crypto';
import { backup, initRepository, memoryBackend, openRepository, stream } from 'restic-engine';
import type { Backend } from 'restic-engine';

const PASSWORD = 'measured';
const GIB: number = 2 ** 30;
const PIECE: number = 2 ** 20;
const TURN: number = 64 * PIECE;

/** Memory of the whole process, worker threads included, in bytes. */
export interface MemoryPoint {
  readonly backedUpBytes: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

/** A backend that forgets packs: what stays in memory is the engine's doing. */
function withoutPacks(backend: Backend): Backend {
  return {
    location: backend.location,
    traits: backend.traits,
    create: (call) => backend.create(call),
    save: async (file, segments, call) => (file.type === 'data' ? undefined : backend.save(file, segments, call)),
    load: (file, range, call) => backend.load(file, range, call),
    stat: (file, call) => backend.stat(file, call),
    list: (type, call) => backend.list(type, call),
    remove: (file, call) => backend.remove(file, call),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

function* content(bytes: number, onBytes: (bytes: number) => void): Generator<Uint8Array> {
  const piece = new Uint8Array(PIECE);
  const zeros = new Uint8Array(PIECE);
  for (let done = 0; done < bytes; done += PIECE) {
    onBytes(done);
    // The reader copies a piece before it asks for the next.
    yield Math.floor(done / TURN) % 2 === 0 ? randomFillSync(piece) : zeros;
  }
  onBytes(bytes);
}

async function measureStream(gibibytes: number): Promise<void> {
  const backend = withoutPacks(memoryBackend());
  await initRepository({ backend, password: PASSWORD, kdf: { N: 1024, r: 8, p: 1 } });
  const repository = await openRepository({ backend, password: PASSWORD });
  const points: MemoryPoint[] = [];
  const since = performance.now();
  const note = (backedUpBytes: number): void => {
    if (backedUpBytes % (GIB / 4) !== 0) return;
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    points.push({ backedUpBytes, rssBytes: process.memoryUsage.rss(), peakRssBytes });
  };
  const { summary } = await backup(repository, { source: stream({ content: content(gibibytes * GIB, note) }) });
  await repository[Symbol.asyncDispose]();
  if (summary.totalBytesProcessed !== gibibytes * GIB)
    throw new Error(`backed up ${summary.totalBytesProcessed} bytes`);
  console.log(JSON.stringify({ seconds: (performance.now() - since) / 1000, points }));
}

await measureStream(Number(process.argv[2]));
