/** The suite itself: a backend that breaks a promise must fail the case for it. */
import type { Backend } from '@restic-engine/repo-format';
import { EngineError } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { describeBackend } from '../src/conformance/index.ts';
import { memoryBackend, withFaults, wrap } from '../src/index.ts';
import { override } from '../src/wrap/wrap.ts';

/** Runs the suite on a backend without a test runner; returns the names of the cases that fail. */
async function failures(make: () => Backend, only: RegExp): Promise<string[]> {
  const failed: string[] = [];
  const pending: (() => Promise<void>)[] = [];
  describeBackend(
    {
      describe: (_, define) => define(),
      it: (name, run) => {
        if (only.test(name)) pending.push(() => run().catch(() => void failed.push(name)));
      },
    },
    'broken',
    async () => make(),
    { secrets: ['hunter2'] },
  );
  for (const run of pending) await run();
  expect(pending.length).toBeGreaterThan(0);
  return failed;
}

function broken(change: (inner: Backend) => Partial<Backend>): () => Backend {
  return () => {
    const inner = memoryBackend();
    return override(inner, change(inner));
  };
}

const stripSignal = (inner: Backend): Partial<Backend> => ({
  create: () => inner.create(),
  save: (file, segments) => inner.save(file, segments),
  load: (file, range) => inner.load(file, range),
  stat: (file) => inner.stat(file),
  list: (type) => inner.list(type),
  remove: (file) => inner.remove(file),
});

async function* doubled(
  inner: Backend,
  type: Parameters<Backend['list']>[0],
): ReturnType<Backend['list']> & AsyncGenerator {
  for await (const file of inner.list(type)) {
    yield file;
    yield file;
  }
}

const shared = new Uint8Array(1000);

const cases: [string, () => Backend, RegExp][] = [
  [
    'short reads',
    () => wrap(memoryBackend(), withFaults({ faults: [{ effect: { kind: 'truncate', length: 7 } }] })),
    /^loads 50 ranges/,
  ],
  [
    'clipped ranges',
    broken((inner) => ({
      load: async (file, range, call) => {
        const { size } = await inner.stat(file, call);
        if (!range) return inner.load(file, range, call);
        const offset = Math.min(range.offset, size);
        return inner.load(file, { offset, length: Math.min(range.length, size - offset) }, call);
      },
    })),
    /^says out-of-range/,
  ],
  [
    'not-found for a range past the end',
    broken((inner) => ({
      load: async (file, range, call) => {
        try {
          return await inner.load(file, range, call);
        } catch (error) {
          if (EngineError.is(error, 'out-of-range')) throw new EngineError('not-found', 'wrong code');
          throw error;
        }
      },
    })),
    /^says out-of-range/,
  ],
  [
    'views of a shared buffer',
    broken((inner) => ({
      load: async (file, range, call) => {
        const bytes = await inner.load(file, range, call);
        shared.set(bytes.subarray(0, 1000));
        return shared.subarray(0, bytes.length);
      },
    })),
    /^gives each caller bytes of its own/,
  ],
  [
    'segments changed',
    broken((inner) => ({
      save: async (file, segments, call) => {
        await inner.save(file, segments, call);
        segments.at(-1)?.fill(0);
      },
    })),
    /^joins 5,000 segments/,
  ],
  ['names listed twice', broken((inner) => ({ list: (type) => doubled(inner, type) })), /^lists one file/],
  [
    'removing what is missing fails',
    broken((inner) => ({
      remove: async (file, call) => {
        await inner.stat(file, call);
        await inner.remove(file, call);
      },
    })),
    /^removes a file/,
  ],
  ['a secret in the location', broken(() => ({ location: 'rest:host/hunter2' })), /^shows no secret/],
  ['a password in the location', broken(() => ({ location: 'rest:https://me:secret@host/' })), /^shows no secret/],
  [
    'claims to replace and refuses',
    () => override(memoryBackend({ atomicReplace: false }), { traits: memoryBackend().traits }),
    /^replaces a file/,
  ],
  [
    'claims to refuse and replaces',
    () => override(memoryBackend(), { traits: memoryBackend({ atomicReplace: false }).traits }),
    /^replaces a file/,
  ],
];

describe('the conformance suite', () => {
  it.each(cases)('notices: %s', async (_, make, only) => {
    expect(await failures(make, only)).toHaveLength(1);
  });

  it('notices signals that are ignored, in every method', async () => {
    const failed = await failures(broken(stripSignal), /a signal that/);
    expect(failed).toHaveLength(15);
  });

  it('finds no fault with an honest backend', async () => {
    expect(await failures(() => memoryBackend(), /^(?!gives back|lists 1001)/)).toEqual([]);
  });
});
