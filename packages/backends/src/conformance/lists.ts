import assert from 'node:assert/strict';
import type { Case } from './case.ts';
import { bytesOf, inParallel, listAll, namesOnce, store } from './content.ts';

/** More than the largest page of any object store. */
const MANY = 1001;

export const LIST_CASES: readonly Case[] = [
  {
    name: 'lists nothing where nothing is',
    async run(backend) {
      for (const type of ['config', 'key', 'lock', 'snapshot', 'index', 'data'] as const) {
        assert.deepEqual(await listAll(backend, type), [], type);
      }
    },
  },
  {
    name: 'lists one file of each type with its size',
    async run(backend) {
      for (const type of ['key', 'lock', 'snapshot', 'index', 'data'] as const) {
        const { name } = await store(backend, type, bytesOf(123, 1));
        assert.deepEqual(await namesOnce(backend, type, 1), [name]);
        assert.deepEqual(await listAll(backend, type), [{ name, size: 123 }]);
      }
    },
  },
  {
    name: `lists ${MANY} files, each once`,
    async run(backend) {
      const names: string[] = [];
      await inParallel(MANY, Math.max(backend.traits.connections, 4), async (index) => {
        names.push((await store(backend, 'data', bytesOf(8, index))).name);
      });
      assert.equal(new Set(names).size, MANY);
      assert.deepEqual(await namesOnce(backend, 'data', MANY), names.sort());
    },
  },
  {
    name: 'lists each file once while others are saved',
    async run(backend) {
      const before: string[] = [];
      for (let index = 0; index < 30; index += 1) {
        before.push((await store(backend, 'index', bytesOf(20, index))).name);
      }
      await namesOnce(backend, 'index', before.length);
      const saves = inParallel(30, 2, async (index) => {
        await store(backend, 'index', bytesOf(20, 1000 + index));
      });
      const listing = await listAll(backend, 'index');
      await saves;
      const names = listing.map((file) => file.name);
      assert.equal(new Set(names).size, names.length, 'no name twice');
      for (const name of before) assert.ok(names.includes(name), 'what was there before is listed');
      for (const { size } of listing) assert.equal(size, 20, 'no unfinished file is listed');
    },
  },
  {
    name: 'can be left early and started again',
    async run(backend) {
      for (let index = 0; index < 5; index += 1) await store(backend, 'snapshot', bytesOf(9, index));
      await namesOnce(backend, 'snapshot', 5);
      let first = 0;
      for await (const { size } of backend.list('snapshot')) {
        first = size;
        break;
      }
      assert.equal(first, 9);
      assert.equal((await listAll(backend, 'snapshot')).length, 5);
    },
  },
  {
    name: 'lets files be loaded and removed while they are listed',
    async run(backend) {
      for (let index = 0; index < 10; index += 1) await store(backend, 'lock', bytesOf(9, index));
      await namesOnce(backend, 'lock', 10);
      let count = 0;
      for await (const { name } of backend.list('lock')) {
        assert.equal((await backend.load({ type: 'lock', name })).length, 9);
        await backend.remove({ type: 'lock', name });
        count += 1;
      }
      assert.equal(count, 10);
    },
  },
];
