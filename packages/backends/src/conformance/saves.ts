import assert from 'node:assert/strict';
import type { Backend, FileType } from '@restic-engine/repo-format';
import { rejects, sameBytes } from './case.ts';
import type { Case } from './case.ts';
import { bytesOf, handleFor, inParallel, listAll, namesOnce, store } from './content.ts';

const MIB = 1024 * 1024;
const TYPES: readonly FileType[] = ['config', 'key', 'lock', 'snapshot', 'index', 'data'];

const SIZES: readonly Case[] = [0, 1, 4095, MIB, 16 * MIB].map((size) => ({
  name: `gives back a file of ${size} bytes`,
  async run(backend) {
    const content = bytesOf(size, size);
    const file = await store(backend, 'data', content);
    sameBytes(await backend.load(file), content, 'loaded');
    assert.equal((await backend.stat(file)).size, size);
  },
}));

/** Segments of very different lengths, many of them empty. */
function manySegments(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => bytesOf(index % 3 === 0 ? 0 : (index * 37) % 600, index));
}

async function segmentsCase(backend: Backend, segments: readonly Uint8Array[]): Promise<void> {
  const content = Buffer.concat(segments);
  const file = handleFor('data', content);
  await backend.save(file, segments);
  sameBytes(await backend.load(file), content, 'loaded');
  sameBytes(Buffer.concat(segments), content, 'segments after the save');
}

export const SAVE_CASES: readonly Case[] = [
  ...SIZES,
  {
    name: 'keeps the types apart',
    async run(backend) {
      const content = bytesOf(100, 1);
      for (const type of TYPES) await store(backend, type, content);
      for (const type of TYPES) {
        sameBytes(await backend.load(handleFor(type, content)), content, type);
        assert.equal((await namesOnce(backend, type, 1)).length, type === 'config' ? 0 : 1, type);
      }
    },
  },
  {
    name: 'stores no segments, and empty ones only, as an empty file',
    async run(backend) {
      const empty = handleFor('data', new Uint8Array());
      await backend.save(empty, []);
      assert.equal((await backend.stat(empty)).size, 0);
      const index = handleFor('index', new Uint8Array());
      await backend.save(index, [new Uint8Array(), new Uint8Array()]);
      assert.equal((await backend.load(index)).length, 0);
    },
  },
  {
    name: 'joins 5,000 segments of all lengths and leaves them as they are',
    run: (backend) => segmentsCase(backend, manySegments(5000)),
  },
  {
    name: 'joins segments that are views of one buffer',
    async run(backend) {
      const buffer = bytesOf(10_000, 3);
      const views = [buffer.subarray(9000), buffer.subarray(0, 1), buffer.subarray(500, 7000)];
      await segmentsCase(backend, views);
    },
  },
  {
    name: 'replaces a file in one step, or refuses to',
    async run(backend) {
      const [first, second] = [bytesOf(3000, 1), bytesOf(500, 2)];
      const config = await store(backend, 'config', first);
      if (backend.traits.atomicReplace) {
        await backend.save(config, [second]);
        sameBytes(await backend.load(config), second, 'replaced');
      } else {
        await rejects(backend.save(config, [second]), 'already-exists');
        sameBytes(await backend.load(config), first, 'kept');
      }
    },
  },
  {
    name: 'shows whole files only while saves over one name go on',
    async run(backend) {
      const [first, second] = [bytesOf(200_000, 1), bytesOf(200_000, 2)];
      const config = await store(backend, 'config', first);
      const replaces = backend.traits.atomicReplace;
      const saves = inParallel(10, 1, async (index) => {
        const saving = backend.save(config, [index % 2 === 0 ? second : first]);
        await (replaces ? saving : rejects(saving, 'already-exists'));
      });
      const loads = inParallel(30, 2, async () => {
        const loaded = await backend.load(config);
        const whole = replaces ? [first, second] : [first];
        assert.ok(whole.some((content) => Buffer.compare(content, loaded) === 0));
      });
      await Promise.all([saves, loads]);
    },
  },
  {
    name: 'saves the same content again without harm',
    async run(backend) {
      const content = bytesOf(1000, 1);
      const file = await store(backend, 'data', content);
      const again = backend.save(file, [content]);
      await (backend.traits.atomicReplace ? again : rejects(again, 'already-exists'));
      sameBytes(await backend.load(file), content, 'loaded');
      assert.deepEqual(await namesOnce(backend, 'data', 1), [file.name]);
    },
  },
  {
    name: 'saves and loads 20 files at once',
    async run(backend) {
      const contents = Array.from({ length: 20 }, (_, index) => bytesOf(index * 5000, index));
      const files = await Promise.all(contents.map((content) => store(backend, 'data', content)));
      const loaded = await Promise.all(files.map((file) => backend.load(file)));
      for (const [index, content] of contents.entries()) {
        sameBytes(loaded[index] ?? new Uint8Array(), content, `file ${index}`);
      }
    },
  },
  {
    name: 'removes a file, and one that is not there',
    async run(backend) {
      const file = await store(backend, 'data', bytesOf(100, 1));
      if (!backend.traits.canRemove) {
        await rejects(backend.remove(file), 'denied');
        assert.equal((await backend.stat(file)).size, 100);
        return;
      }
      await backend.remove(file);
      await rejects(backend.stat(file), 'not-found');
      await rejects(backend.load(file), 'not-found');
      await backend.remove(file);
      await backend.remove(handleFor('snapshot', bytesOf(1, 2)));
      if (backend.traits.listAfterWrite) assert.deepEqual(await listAll(backend, 'data'), []);
      await store(backend, 'data', bytesOf(100, 1));
      assert.equal((await backend.stat(file)).size, 100);
    },
  },
  {
    name: 'lets go of locks wherever it takes them',
    async run(backend) {
      const lock = await store(backend, 'lock', bytesOf(100, 1));
      await backend.remove(lock);
      await rejects(backend.stat(lock), 'not-found');
    },
  },
];
