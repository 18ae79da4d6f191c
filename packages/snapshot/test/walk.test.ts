import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import type { FaultCall, FaultPlan } from '../../backends/src/index.ts';
import { backup } from '../src/backup/backup.ts';
import { objects } from '../src/source/objects.ts';
import { findNode, findTree, readFile, walk } from '../src/walk.ts';
import { bytesOf, codeOf, initialized, makeRepository, noise, opened } from './harness.ts';

const CONTENT = noise(6 << 20, 1);

/** A snapshot of `entries`, looked into through a backend that fails as planned. */
async function lookInto(
  entries: Record<string, string | Uint8Array>,
  plan: FaultPlan = {},
): Promise<{ indexed: IndexedRepository; tree: string }> {
  const backend = await initialized();
  const source = objects(Object.entries(entries).map(([path, content]) => ({ path, content })));
  const { snapshot } = await backup(await opened(backend), { source });
  return { indexed: await (await opened(backend, plan)).loadIndex(), tree: snapshot.tree };
}

const isPackLoad = (call: FaultCall): boolean => call.method === 'load' && call.type === 'data';

describe('walking a tree', () => {
  it('meets every node once, in byte order, directories before what is in them', async () => {
    const { indexed, tree } = await lookInto({ 'b/y': '1', 'b/x/z': '2', a: '3', 'b.txt': '4', é: '5', B: '6' });
    const paths = (await Array.fromAsync(walk(indexed, tree))).map(({ path }) => path);
    expect(paths).toEqual(['/B', '/a', '/b', '/b/x', '/b/x/z', '/b/y', '/b.txt', '/é']);
  });

  it('enters only what it is told to', async () => {
    const { indexed, tree } = await lookInto({ 'a/1': '1', 'b/2': '2' });
    const found = await Array.fromAsync(walk(indexed, tree, { enter: ({ path }) => path === '/b' }));
    expect(found.map(({ path }) => path)).toEqual(['/a', '/b', '/b/2']);
  });

  it('stops at an abort', async () => {
    const { indexed, tree } = await lookInto({ 'a/1': '1', 'b/2': '2' });
    const stop = new AbortController();
    const walked: string[] = [];
    const walking = (async () => {
      for await (const { path } of walk(indexed, tree, { signal: stop.signal })) {
        walked.push(path);
        stop.abort();
      }
    })();
    expect(await codeOf(walking)).toBe('aborted');
    expect(walked).toEqual(['/a']);
  });

  it('finds nodes and trees by their paths', async () => {
    const { indexed, tree } = await lookInto({ 'a/b/c': 'content', d: '' });
    expect(await findNode(indexed, tree, '/a/b/c')).toMatchObject({ name: 'c', size: 7 });
    expect(await findNode(indexed, tree, 'a//b/./c')).toMatchObject({ name: 'c' });
    for (const path of ['', '/', './']) expect(await findTree(indexed, tree, path)).toBe(tree);
    expect(await findTree(indexed, tree, 'a')).toBe((await findNode(indexed, tree, 'a')).subtree);
    for (const path of ['x', 'a/x', 'a/b/c/d', 'd/x', '/'])
      expect(await codeOf(findNode(indexed, tree, path))).toBe('not-found');
    expect(await codeOf(findTree(indexed, tree, 'd'))).toBe('not-found');
  });
});

describe('reading a file', () => {
  it('gives any part of it', async () => {
    const { indexed, tree } = await lookInto({ long: CONTENT });
    const node = await findNode(indexed, tree, 'long');
    expect(node.content?.length).toBeGreaterThan(3);
    // Borders of blobs are where a part may go wrong.
    let end = 0;
    const ends = (node.content ?? []).map((id) => (end += indexed.plainLength('data', id) ?? 0));
    const position = fc.oneof(fc.nat(CONTENT.length + 10), fc.constantFrom(0, ...ends, ...ends.map((at) => at - 1)));
    await fc.assert(
      fc.asyncProperty(position, fc.oneof(position, fc.nat(3), fc.constant(undefined)), async (offset, length) => {
        const bytes = await bytesOf(readFile(indexed, node, { offset, length }));
        expect(bytes.equals(CONTENT.subarray(offset, offset + (length ?? Infinity)))).toBe(true);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  }, 20_000);

  it('reads only the blobs that it needs, and none for a part without bytes', async () => {
    const loads: unknown[] = [];
    const { indexed, tree } = await lookInto(
      { long: CONTENT },
      { onCall: (call) => void (isPackLoad(call) && loads.push(call)) },
    );
    const node = await findNode(indexed, tree, 'long');
    loads.length = 0;
    expect(await bytesOf(readFile(indexed, node, { offset: 5, length: 0 }))).toHaveLength(0);
    expect(await bytesOf(readFile(indexed, node, { offset: CONTENT.length }))).toHaveLength(0);
    expect(loads).toHaveLength(0);
    expect(await bytesOf(readFile(indexed, node, { offset: 5, length: 10 }))).toHaveLength(10);
    expect(loads).toHaveLength(1);
  });

  it('refuses what is no file and no part', async () => {
    const { indexed, tree } = await lookInto({ 'a/b': '1' });
    const directory = await findNode(indexed, tree, 'a');
    expect(await codeOf(bytesOf(readFile(indexed, directory)))).toBe('bad-request');
    const file = await findNode(indexed, tree, 'a/b');
    for (const part of [{ offset: -1 }, { length: -1 }, { offset: Number.NaN }]) {
      expect(() => readFile(indexed, file, part)).toThrow(RangeError);
    }
  });

  it('fails with not-found for a blob that is in no index', async () => {
    const { indexed, tree } = await lookInto({ a: 'content' });
    const node: Node = { ...(await findNode(indexed, tree, 'a')), content: ['0'.repeat(64)] };
    expect(await codeOf(bytesOf(readFile(indexed, node)))).toBe('not-found');
  });

  it('fails with what is wrong with a blob, however many were read ahead, and reads no more', async () => {
    const gone = new EngineError('denied', 'not this one');
    let loads = 0;
    let isBroken = false;
    const fault = {
      when: (call: FaultCall) => isBroken && isPackLoad(call) && ++loads > 1,
      effect: { kind: 'fail-before', error: gone },
    } as const;
    // The first blob comes last: those behind it have failed before anybody waits for them.
    const slow = {
      when: (call: FaultCall) => isBroken && isPackLoad(call) && loads === 1,
      effect: { kind: 'delay', ms: 30 },
    } as const;
    const { indexed, tree } = await lookInto({ long: CONTENT }, { faults: [fault, slow] });
    const node = await findNode(indexed, tree, 'long');
    isBroken = true;
    const reader = readFile(indexed, node).getReader();
    expect((await reader.read()).value?.length).toBeGreaterThan(0);
    await expect(reader.read()).rejects.toBe(gone);
    expect(loads).toBeLessThanOrEqual(6);
  });

  it('ends its reads when the reader cancels, and at an abort', async () => {
    const waiting = new Set<AbortSignal>();
    const { backend } = await makeRepository();
    const { snapshot } = await backup(await opened(backend), { source: objects([{ path: 'long', content: CONTENT }]) });
    const repository = await opened(backend);
    const indexed = await repository.loadIndex();
    const node = await findNode(indexed, snapshot.tree, 'long');
    const silent: Pick<IndexedRepository, 'plainLength' | 'loadBlob'> = {
      plainLength: (type, id) => indexed.plainLength(type, id),
      loadBlob: (_type, _id, call) =>
        new Promise((_resolve, reject) => {
          const signal = call?.signal;
          if (signal === undefined) return;
          waiting.add(signal);
          signal.addEventListener('abort', () => reject(new EngineError('aborted', 'ended')));
        }),
    };
    const stop = new AbortController();
    for (const end of [
      (stream: ReadableStream) => stream.cancel(),
      async (stream: ReadableStream<Uint8Array>) => {
        const reading = codeOf(bytesOf(stream));
        stop.abort();
        expect(await reading).toBe('aborted');
      },
    ]) {
      waiting.clear();
      const stream = readFile(silent as IndexedRepository, node, { signal: stop.signal });
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(waiting.size).toBeGreaterThan(0);
      await end(stream);
      for (const signal of waiting) expect(signal.aborted).toBe(true);
    }
  });
});
