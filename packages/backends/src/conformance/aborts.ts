import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend, Call, FileHandle } from '@restic-engine/repo-format';
import { rejects } from './case.ts';
import type { Case } from './case.ts';
import { bytesOf, handleFor, listAll, store } from './content.ts';

const CONTENT = bytesOf(300_000, 7);
/** Bytes that take a while to save. */
const SIZE = 4_000_000;
const NEW = handleFor('data', CONTENT);

type Action = (backend: Backend, stored: FileHandle, call: Call) => Promise<unknown>;

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['create', (backend, _, call) => backend.create(call)],
  ['save', (backend, _, call) => backend.save(NEW, [CONTENT], call)],
  ['load', (backend, stored, call) => backend.load(stored, undefined, call)],
  ['load of a range', (backend, stored, call) => backend.load(stored, { offset: 10, length: 10 }, call)],
  ['stat', (backend, stored, call) => backend.stat(stored, call)],
  ['list', (backend, _, call) => readAll(backend, call)],
  ['remove', (backend, stored, call) => backend.remove(stored, call)],
]);

async function readAll(backend: Backend, call: Call): Promise<void> {
  for await (const { name } of backend.list('lock', call)) assert.ok(name);
}

const BEFORE: readonly Case[] = [...ACTIONS].map(([name, action]) => ({
  name: `${name}: a signal that has fired ends it before it starts`,
  async run(backend) {
    const stored = await store(backend, 'lock', bytesOf(1000, 1));
    await rejects(action(backend, stored, { signal: AbortSignal.abort() }), 'aborted');
    assert.equal((await backend.stat(stored)).size, 1000, 'nothing was removed');
    await rejects(backend.stat(NEW), 'not-found');
  },
}));

const DURING: readonly Case[] = [...ACTIONS].map(([name, action]) => ({
  name: `${name}: a signal that fires while it runs ends it`,
  async run(backend) {
    const stored = await store(backend, 'lock', bytesOf(1000, 1));
    const controller = new AbortController();
    const running = action(backend, stored, { signal: controller.signal });
    controller.abort();
    await rejects(running, 'aborted');
  },
}));

export const ABORT_CASES: readonly Case[] = [
  ...BEFORE,
  ...DURING,
  {
    name: 'list: a signal that fires between two names ends it',
    async run(backend) {
      for (let index = 0; index < 3; index += 1) await store(backend, 'lock', bytesOf(10, index));
      const controller = new AbortController();
      let names = 0;
      const reading = async (): Promise<void> => {
        for await (const { name } of backend.list('lock', { signal: controller.signal })) {
          assert.ok(name);
          names += 1;
          controller.abort();
        }
      };
      await rejects(reading(), 'aborted');
      assert.equal(names, 1);
    },
  },
  {
    name: 'the reason of the signal is the cause of the error',
    async run(backend) {
      const reason = new Error('enough');
      await assert.rejects(backend.stat(NEW, { signal: AbortSignal.abort(reason) }), { cause: reason });
    },
  },
  {
    name: 'a signal that does not fire changes nothing',
    async run(backend) {
      const { signal } = new AbortController();
      await backend.save(NEW, [CONTENT], { signal });
      assert.equal((await backend.load(NEW, undefined, { signal })).length, CONTENT.length);
    },
  },
  {
    name: 'a save aborted at any time leaves the whole file or none',
    async run(backend) {
      const content = bytesOf(SIZE, 8);
      for (const delay of [0, 1, 2, 5, 10]) {
        // Each has a name of its own: a server may finish what it has received after its client has gone.
        const large = content.with(0, delay);
        const file = handleFor('data', large);
        const controller = new AbortController();
        const saving = backend.save(file, [large], { signal: controller.signal }).then(
          () => 'saved',
          (error: unknown) => (EngineError.is(error) ? error.code : String(error)),
        );
        await setTimeout(delay);
        controller.abort();
        const outcome = await saving;
        assert.ok(outcome === 'saved' || outcome === 'aborted', outcome);
        for (const { name, size } of await listAll(backend, 'data')) assert.equal(size, SIZE, `${name} is whole`);
        if (outcome === 'saved') assert.equal((await backend.stat(file)).size, SIZE);
      }
    },
  },
];
