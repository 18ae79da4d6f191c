/** The kernels, each beside its twin and its rivals. The first contender of a contest is what the engine uses. */
import { fastcdc, parsePolynomial, rabin, rabinReference, RESTIC_SIZES } from '@restic-engine/chunker';
import {
  compress,
  createBlobCodec,
  createSealer,
  decodeIndex,
  decodeTree,
  decompress,
  encodeIndex,
  encodeTree,
  generateMasterKey,
  nodePrimitives,
} from '@restic-engine/repo-format';
import type { Compression, Id, Node, PackEntry, Primitives } from '@restic-engine/repo-format';
import { portablePrimitives } from '@restic-engine/repo-format/portable';
import { BlobTable } from '@restic-engine/repository';
import { poly1305 as noblePoly1305 } from '@noble/ciphers/_poly1305.js';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
// Internals: nobody but a benchmark and its own tests needs them.
import { poly1305 } from '../../packages/repo-format/src/crypto/poly1305.ts';
import { poly1305Reference } from '../../packages/repo-format/src/crypto/poly1305.reference.ts';
import { dataSet, randomStream } from '../data.ts';
import type { Contest } from './harness.ts';

const MIB: number = 2 ** 20;

function bytesContest(title: string, bytes: number, contenders: Record<string, () => unknown>): Contest {
  return { title, amount: bytes, unit: 'MiB/s', contenders: named(contenders) };
}

function thingsContest(title: string, things: number, contenders: Record<string, () => unknown>): Contest {
  return { title, amount: things, unit: 'k/s', contenders: named(contenders) };
}

function named(contenders: Record<string, () => unknown>): Contest['contenders'] {
  return Object.entries(contenders).map(([name, run]) => ({ name, run }));
}

/** Random bytes, joined from a reproducible stream. */
function randomBytes(length: number): Uint8Array {
  const next = randomStream(7);
  return Uint8Array.from(
    Buffer.concat(Array.from({ length: Math.ceil(length / MIB) }, () => Buffer.from(next(MIB)))),
  ).subarray(0, length);
}

async function cutting(random: Uint8Array): Promise<Contest> {
  const polynomial = parsePolynomial('3da3358b4dc173');
  const parameters = { ...RESTIC_SIZES, polynomial };
  const [kernel, reference] = [rabin(parameters), rabinReference(parameters)];
  const rival = await fastcdc({ minSize: MIB / 2, averageSize: 1.5 * MIB, maxSize: 8 * MIB });
  return bytesContest('Cutting 16 MiB of random bytes into chunks', random.length, {
    'Rabin kernel (WebAssembly SIMD)': () => kernel.cuts(random, true),
    'Rabin reference (TypeScript)': () => reference.cuts(random, true),
    'FastCDC (fastcdc-wasm, other cuts)': () => rival.cuts(random, true),
  });
}

function hashing(bytes: Uint8Array): Contest {
  return bytesContest('SHA-256 of 1 MiB', bytes.length, {
    'node:crypto': () => nodePrimitives.sha256(bytes),
    noble: () => portablePrimitives.sha256(bytes),
  });
}

function authenticating(bytes: Uint8Array): Contest {
  const [r, s, small] = [bytes.slice(0, 16), bytes.slice(16, 32), bytes.subarray(0, 64 * 1024)];
  const key = Uint8Array.from([...r, ...s]);
  return bytesContest('Poly1305 of 64 KiB', small.length, {
    'kernel (WebAssembly)': () => poly1305(r, s, small),
    noble: () => noblePoly1305(small, key),
    'reference (bigint)': () => poly1305Reference(r, s, small),
  });
}

function encrypting(bytes: Uint8Array): Contest {
  const [key, iv, output] = [bytes.slice(0, 32), bytes.slice(32, 48), new Uint8Array(bytes.length)];
  const run = (primitives: Primitives): (() => unknown) => {
    const ctr = primitives.ctr(key);
    return () => {
      ctr(iv, bytes, output);
      return output;
    };
  };
  return bytesContest('AES-256-CTR of 1 MiB', bytes.length, {
    'node:crypto': run(nodePrimitives),
    noble: run(portablePrimitives),
  });
}

function compressing(text: Uint8Array): Contest[] {
  const levels: readonly Compression[] = ['auto', 'fastest', 'better', 'max'];
  const frame = compress(text, 'auto');
  const small = text.subarray(0, 4096);
  const smallFrame = compress(small, 'auto');
  return [
    bytesContest(
      'zstd of 1 MiB of text, by the names of restic',
      text.length,
      Object.fromEntries(
        levels.map((level) => {
          const share = ((compress(text, level).length / text.length) * 100).toFixed(1);
          return [`${level} (to ${share} %)`, () => compress(text, level)];
        }),
      ),
    ),
    bytesContest('zstd back to 1 MiB of text', text.length, { decompress: () => decompress(frame, text.length) }),
    thingsContest('zstd of 4 KiB: blobs of small files', 1, {
      compress: () => compress(small, 'auto'),
      decompress: () => decompress(smallFrame, small.length),
    }),
  ];
}

function sealing(text: Uint8Array): Contest[] {
  const sealer = createSealer(generateMasterKey());
  const checked = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: true });
  const trusting = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: false });
  const small = text.subarray(0, 4096);
  return [
    bytesContest('A blob of 1 MiB: compress, seal', text.length, {
      'and open again (the default)': () => checked.seal('data', text),
      'without checking': () => trusting.seal('data', text),
    }),
    thingsContest('A blob of 4 KiB: compress, seal', 1, {
      'and open again (the default)': () => checked.seal('data', small),
      'without checking': () => trusting.seal('data', small),
    }),
  ];
}

function copying(bytes: Uint8Array): Contest {
  const target = new Uint8Array(bytes.length);
  return bytesContest('Copying 16 MiB: the speed of memory', bytes.length, {
    'TypedArray.set': () => {
      target.set(bytes);
      return target;
    },
  });
}

const idOf = (number: number): Id => createHash('sha256').update(String(number)).digest('hex');

function packsOf(blobs: number): { id: Id; blobs: PackEntry[] }[] {
  const perPack = 16;
  return Array.from({ length: blobs / perPack }, (_, pack) => ({
    id: idOf(-1 - pack),
    blobs: Array.from({ length: perPack }, (__, i) => ({
      id: idOf(pack * perPack + i),
      type: 'data' as const,
      offset: i * 1_000_000,
      length: 1_000_000,
      uncompressedLength: 1_500_000,
    })),
  }));
}

const BLOBS = 50_000;

/** What the blob table needs for a blob when there are a million of them. */
function bytesPerBlob(): number {
  const table = new BlobTable();
  const pack = table.addPack(idOf(0));
  const random = randomBytes(32 * 1_000_000);
  for (let at = 0; at < random.length; at += 32) {
    table.add('data', Buffer.from(random.buffer, random.byteOffset + at, 32).toString('hex'), pack, at, 32, 0);
  }
  return table.byteLength / table.size;
}

function indexing(): Contest[] {
  const packs = packsOf(BLOBS);
  const json = encodeIndex(packs);
  const filled = (): BlobTable => {
    const table = new BlobTable();
    let pack = 0;
    decodeIndex(json, 2, {
      pack: (id) => {
        pack = table.addPack(id);
      },
      blob: (type, id, offset, length, plain) => table.add(type, id, pack, offset, length, plain),
    });
    return table;
  };
  const table = filled();
  const map = new Map(
    packs.flatMap((pack) => pack.blobs.map((blob) => [blob.id, { pack: pack.id, ...blob }] as const)),
  );
  const ids = [...map.keys()];
  // Ids that come from a worker are strings nobody has hashed yet; so they are here.
  const known = Buffer.from(ids.join(''), 'latin1');
  const unknown = Buffer.from(ids.map((id) => `${id.slice(1)}0`).join(''), 'latin1');
  const count = (bytes: Buffer, has: (id: Id) => boolean): number => {
    let found = 0;
    for (let at = 0; at < bytes.length; at += 64) if (has(bytes.toString('latin1', at, at + 64))) found += 1;
    return found;
  };
  const both = (has: (id: Id) => boolean): number => count(known, has) + count(unknown, has);
  return [
    bytesContest(`An index of ${BLOBS / 1000},000 blobs, ${(json.length / MIB).toFixed(1)} MiB of JSON`, json.length, {
      'decode into the blob table': filled,
      'JSON.parse alone': () => JSON.parse(Buffer.from(json).toString()),
    }),
    thingsContest(`Look-ups in ${BLOBS / 1000},000 blobs, half of them known`, 2 * BLOBS, {
      [`blob table (${bytesPerBlob().toFixed(0)} bytes a blob)`]: () => both((id) => table.has('data', id)),
      'Map of objects': () => both((id) => map.has(id)),
    }),
  ];
}

function treeing(): Contest[] {
  const time = '2024-02-29T12:34:56.789012345+01:00';
  const nodes = Array.from({ length: 1000 }, (_, i): Node => {
    const name = `file-${String(i).padStart(4, '0')}.txt`;
    const times = { mtime: time, atime: time, ctime: time };
    const owner = { uid: 1000, gid: 1000, user: 'somebody', group: 'users' };
    return {
      name,
      type: 'file',
      mode: 0o644,
      ...times,
      ...owner,
      inode: 1_000_000 + i,
      deviceId: 66_306,
      size: 4096,
      links: 1,
      content: [idOf(i)],
    };
  });
  const bytes = encodeTree(nodes);
  return [
    thingsContest('Nodes of a tree with 1,000 files', nodes.length, {
      decode: () => decodeTree(bytes),
      encode: () => encodeTree(nodes),
      'JSON.parse alone': () => JSON.parse(Buffer.from(bytes).toString()),
    }),
  ];
}

/** All contests. */
export async function contests(): Promise<Contest[]> {
  const random = randomBytes(16 * MIB);
  const { folder } = await dataSet('large', 'quick');
  const text = new Uint8Array(readFileSync(join(folder, 'text-0.tar')).subarray(0, MIB));
  const bytes = random.slice(0, MIB);
  return [
    await cutting(random),
    hashing(bytes),
    authenticating(bytes),
    encrypting(bytes),
    ...compressing(text),
    ...sealing(text),
    copying(random),
    ...indexing(),
    ...treeing(),
  ];
}
