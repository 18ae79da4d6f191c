import assert from 'node:assert/strict';
import { rejects, sameBytes } from './case.ts';
import type { Case } from './case.ts';
import { bytesOf, handleFor, inParallel, store } from './content.ts';

const SIZE = 100_000;

/** `count` ranges within `size` bytes, the same in every run. */
function ranges(count: number, size: number): { readonly offset: number; readonly length: number }[] {
  const random = new DataView(bytesOf(count * 8, 50).buffer);
  return Array.from({ length: count }, (_, index) => {
    const offset = random.getUint32(index * 8) % size;
    return { offset, length: (random.getUint32(index * 8 + 4) % (size - offset)) + 1 };
  });
}

export const LOAD_CASES: readonly Case[] = [
  {
    name: 'says not-found for a file that is not there',
    async run(backend) {
      for (const type of ['config', 'key', 'lock', 'snapshot', 'index', 'data'] as const) {
        const absent = handleFor(type, bytesOf(10, 99));
        await rejects(backend.stat(absent), 'not-found');
        await rejects(backend.load(absent), 'not-found');
        await rejects(backend.load(absent, { offset: 0, length: 1 }), 'not-found');
      }
    },
  },
  {
    name: 'loads 50 ranges',
    async run(backend) {
      const content = bytesOf(SIZE, 1);
      const file = await store(backend, 'data', content);
      const wanted = ranges(50, SIZE);
      await inParallel(wanted.length, backend.traits.connections, async (index) => {
        const { offset = 0, length = 0 } = wanted[index] ?? {};
        const part = await backend.load(file, { offset, length });
        sameBytes(part, content.subarray(offset, offset + length), `${length} bytes at ${offset}`);
      });
    },
  },
  {
    name: 'loads ranges at the edges',
    async run(backend) {
      const content = bytesOf(SIZE, 2);
      const file = await store(backend, 'data', content);
      sameBytes(await backend.load(file, { offset: 0, length: SIZE }), content, 'all');
      sameBytes(await backend.load(file, { offset: SIZE - 1, length: 1 }), content.subarray(SIZE - 1), 'last byte');
      assert.equal((await backend.load(file, { offset: 0, length: 0 })).length, 0);
      assert.equal((await backend.load(file, { offset: SIZE, length: 0 })).length, 0);
    },
  },
  {
    name: 'says out-of-range when the file ends too early, however far',
    async run(backend) {
      const file = await store(backend, 'data', bytesOf(SIZE, 3));
      for (const [offset, length] of [
        [0, SIZE + 1],
        [SIZE - 1, 2],
        [SIZE, 1],
        [SIZE + 1, 0],
        [SIZE * 2, 10],
        [10, 64 * 1024 * 1024],
        [0, 2 ** 40],
        [2 ** 40, 1],
      ] as const) {
        await rejects(backend.load(file, { offset, length }), 'out-of-range');
      }
      const empty = await store(backend, 'data', new Uint8Array());
      await rejects(backend.load(empty, { offset: 0, length: 1 }), 'out-of-range');
    },
  },
  {
    name: 'gives each caller bytes of its own, in a buffer that can be transferred',
    async run(backend) {
      const content = bytesOf(500, 4);
      const file = await store(backend, 'data', content);
      const range = { offset: 100, length: 50 };
      const loaded = [await backend.load(file), await backend.load(file, range)];
      for (const bytes of loaded) {
        assert.equal(bytes.byteOffset, 0);
        assert.equal(bytes.buffer.byteLength, bytes.length);
        bytes.fill(0);
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        assert.equal(bytes.length, 0, 'the buffer was transferred');
      }
      sameBytes(await backend.load(file), content, 'loaded again');
      sameBytes(await backend.load(file, range), content.subarray(100, 150), 'range loaded again');
    },
  },
  {
    name: 'does not keep the bytes it was given',
    async run(backend) {
      const content = bytesOf(500, 5);
      const given = new Uint8Array(content);
      const file = handleFor('data', content);
      await backend.save(file, [given]);
      given.fill(0);
      sameBytes(await backend.load(file), content, 'loaded');
    },
  },
];
