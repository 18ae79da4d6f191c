import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createSealer,
  generateMasterKey,
  MAX_HEADER_ENTRIES,
  readPackHeader,
  sha256,
} from '@restic-engine/repo-format';
import type { SealedBlob } from '@restic-engine/repo-format';
import { Packer, PackerPair } from '../src/store/packer.ts';
import { idOf, noise } from './harness.ts';

const sealer = createSealer(generateMasterKey());

function blobOf(length: number, number: number): SealedBlob {
  return { id: idOf(number), type: 'data', bytes: noise(length, number), uncompressedLength: 0 };
}

function bytesOf(segments: readonly Uint8Array[]): Buffer {
  return Buffer.concat(segments);
}

describe('a pack', () => {
  it('reads back as the blobs that were added, at their offsets, under the hash of its bytes', async () => {
    const blobs = [blobOf(40, 1), blobOf(33, 2), blobOf(5000, 3)];
    const packer = new Packer();
    for (const blob of blobs) packer.add({ ...blob, uncompressedLength: blob.bytes.length });
    const pack = packer.finish(sealer);
    const bytes = bytesOf(pack.segments);
    expect(pack.size).toBe(bytes.length);
    expect(pack.id).toBe(sha256(bytes));
    const read = await readPackHeader(
      async ({ offset, length }) => bytes.subarray(offset, offset + length),
      bytes.length,
      sealer,
      2,
    );
    expect(read).toEqual(pack.entries);
    for (const [i, { offset, length }] of read.entries()) {
      expect(bytes.subarray(offset, offset + length)).toEqual(Buffer.from(blobs[i]?.bytes ?? []));
    }
  });

  it('is full with as many blobs as a header holds, and can be finished then', () => {
    const packer = new Packer();
    const { id, bytes } = blobOf(33, 0);
    for (let i = 1; i < MAX_HEADER_ENTRIES; i++) packer.add({ id, type: 'data', bytes, uncompressedLength: 1 });
    expect(packer.isFull).toBe(false);
    packer.add({ id, type: 'data', bytes, uncompressedLength: 1 });
    expect(packer.isFull).toBe(true);
    expect(packer.finish(sealer).entries).toHaveLength(MAX_HEADER_ENTRIES);
  });

  it('takes over more blobs than a call has room for arguments', () => {
    const [one, other] = [new Packer(), new Packer()];
    const blob = blobOf(33, 0);
    one.add(blob);
    for (let i = 0; i < 200_000; i++) other.add(blob);
    one.absorb(other);
    expect(one.size).toBe(33 * 200_001);
  });
});

describe('the open packs of a type', () => {
  it('lose no blob, close packs at the target and merge the rest where one pack is enough', () => {
    const target = 1000;
    fc.assert(
      fc.property(fc.array(fc.record({ length: fc.integer({ min: 33, max: 1500 }), first: fc.boolean() })), (sizes) => {
        let next = 0;
        const pair = new PackerPair(target, () => sizes[next]?.first ?? false);
        const closed: Packer[] = [];
        for (; next < sizes.length; next++) {
          const full = pair.add(blobOf(sizes[next]?.length ?? 0, next));
          if (full !== undefined) closed.push(full);
        }
        const rest = pair.takeRest();
        expect(pair.takeRest()).toEqual([]);
        for (const packer of closed) expect(packer.size).toBeGreaterThanOrEqual(target);
        for (const packer of rest) expect(packer.size).toBeLessThan(target);
        expect(rest.length).toBeLessThanOrEqual(2);
        if (rest.length === 2) expect((rest[0]?.size ?? 0) + (rest[1]?.size ?? 0)).toBeGreaterThanOrEqual(target);
        const packs = [...closed, ...rest].map((packer) => packer.finish(sealer));
        const found = packs.flatMap(({ entries, segments }) => {
          const bytes = bytesOf(segments);
          return entries.map(({ id, offset, length }) => id + sha256(bytes.subarray(offset, offset + length)));
        });
        const wanted = sizes.map(({ length }, i) => idOf(i) + sha256(noise(length, i)));
        expect(found.toSorted()).toEqual(wanted.toSorted());
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('give a blob that fills a pack one of its own', () => {
    const pair = new PackerPair(1000, () => true);
    pair.add(blobOf(100, 1));
    const own = pair.add(blobOf(1000, 2));
    expect(own?.finish(sealer).entries.map(({ id, offset }) => [id, offset])).toEqual([[idOf(2), 0]]);
    expect(pair.takeRest().map(({ size }) => size)).toEqual([100]);
  });
});
