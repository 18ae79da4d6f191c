import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// No server is given a million files for a test: this one makes up their names as it goes.

const PROGRAM = fileURLToPath(new URL('listing-program.mjs', import.meta.url));
const V2 = 'application/vnd.x.restic.rest.v2';
/** Names in one piece of an answer. */
const BATCH = 500;

const nameOf = (file: number): string => (file * 4219).toString(16).padStart(8, '0').repeat(8);

function* listing(files: number): Generator<string> {
  for (let file = 0; file < files; file += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, files - file) }, (_, index) => ({
      name: nameOf(file + index),
      size: file + index,
    }));
    const text = JSON.stringify(batch).slice(1, -1);
    yield file === 0 ? `[${text}` : `,${text}`;
  }
  yield ']';
}

interface Measured {
  readonly count: number;
  readonly bytes: number;
  readonly last: string;
  readonly peakKiB: number;
}

async function measure(port: number, files: number): Promise<Measured> {
  const words = ['--conditions=@restic-engine/source', PROGRAM, `rest:http://127.0.0.1:${port}/${files}/`];
  return JSON.parse((await promisify(execFile)(process.execPath, words)).stdout) as Measured;
}

it('lists a million files in the memory of a hundred thousand', { timeout: 120_000 }, async () => {
  const server = createServer((request, response) => {
    const files = Number(/^\/(\d+)\/data\/$/.exec(request.url ?? '')?.[1]);
    response.setHeader('content-type', V2);
    Readable.from(listing(files)).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const few = await measure(port, 100_000);
    const many = await measure(port, 1_000_000);
    expect(few).toMatchObject({ count: 100_000, last: nameOf(99_999) });
    expect(many).toMatchObject({ count: 1_000_000, last: nameOf(999_999), bytes: (999_999 * 1_000_000) / 2 });
    // The names alone are 64 MB more; to know them again should the listing break takes 12 bytes each.
    expect(many.peakKiB - few.peakKiB).toBeLessThan(40 * 1024);
  } finally {
    server.close();
  }
});
