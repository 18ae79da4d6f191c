// Run where files may not grow beyond 64 KiB: saves and reads a small file, a large one, and another small one.
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { diskCache, memoryBackend } from '@restic-engine/backends';

// The system's way to say so; without a listener it ends the process.
process.on('SIGXFSZ', () => undefined);
const [folder, id] = process.argv.slice(2);
const notices = [];
const backend = diskCache({ folder, onUnusable: ({ code }) => notices.push(code) }).inFrontOf(memoryBackend(), id);
const same = [];
for (const [seed, length] of [1000, 500_000, 2000].entries()) {
  const content = new Uint8Array(length).fill(seed);
  const file = { type: 'index', name: createHash('sha256').update(content).digest('hex') };
  await backend.save(file, [content]);
  same.push(Buffer.compare(await backend.load(file), content) === 0);
}
const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const copies = found.filter(({ name }) => name.length === 64).length;
const leftovers = found.filter(({ name }) => name.startsWith('tmp-')).length;
process.stdout.write(JSON.stringify({ notices, same, copies, leftovers }));
