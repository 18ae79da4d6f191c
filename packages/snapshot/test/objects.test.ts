import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunks, parsePolynomial, rabin, RESTIC_SIZES } from '@restic-engine/chunker';
import { sha256 } from '@restic-engine/repo-format';
import type { Repository } from '@restic-engine/repository';
import { backup } from '../src/backup/backup.ts';
import type { BackupOptions, BackupResult } from '../src/backup/types.ts';
import { objects, stream } from '../src/source/objects.ts';
import type { ObjectEntry } from '../src/source/source.ts';
import { codeOf, contentsOf, makeRepository, names, nodesOf, noise, opened, POLYNOMIAL } from './harness.ts';

function store(repository: Repository, entries: Iterable<ObjectEntry>, time?: string): Promise<BackupResult> {
  return backup(repository, { source: objects(entries), time });
}

const entriesOf = (contents: Record<string, string>): ObjectEntry[] =>
  Object.entries(contents).map(([path, content]) => ({ path, content }));

const T1 = '2024-01-01T00:00:00Z';
const T2 = '2024-02-02T00:00:00Z';

describe('backing up objects', () => {
  it('makes a file of each, with its content and what is said of it', async () => {
    const { repository } = await makeRepository();
    const { snapshot, summary } = await backup(repository, {
      source: objects(
        [
          { path: 'a/text', content: 'grüße' },
          { path: '/a/bytes', content: Uint8Array.of(0, 255), mode: 0o104600, uid: 7, gid: 8, user: 'u', group: 'g' },
          { path: 'a//pieces', content: ['one', Uint8Array.of(33)], mtime: new Date('2001-02-03T04:05:06.789Z') },
          { path: 'empty', content: '' },
        ],
        { paths: ['/cluster'] },
      ),
      time: T1,
    });
    expect(snapshot.paths).toEqual(['/cluster']);
    const nodes = await nodesOf(repository, snapshot.tree);
    expect([...nodes.keys()]).toEqual(['/a', '/a/bytes', '/a/pieces', '/a/text', '/empty']);
    expect(nodes.get('/a/bytes')).toMatchObject({ type: 'file', uid: 7, gid: 8, user: 'u', group: 'g', size: 2 });
    expect((nodes.get('/a/bytes')?.mode ?? 0) & 0o777).toBe(0o600);
    expect(Date.parse(nodes.get('/a/pieces')?.mtime ?? '')).toBe(Date.parse('2001-02-03T04:05:06.789Z'));
    expect(nodes.get('/a/text')).toMatchObject({ mtime: T1, uid: repository.platform.uid });
    expect(nodes.get('/empty')).toMatchObject({ type: 'file', content: [] });
    expect(await contentsOf(repository, snapshot.tree)).toEqual({
      '/a/text': Buffer.from('grüße'),
      '/a/bytes': Buffer.of(0, 255),
      '/a/pieces': Buffer.from('one!'),
      '/empty': Buffer.alloc(0),
    });
    expect(summary).toMatchObject({ filesNew: 4, dirsNew: 1, dataBlobs: 3, treeBlobs: 2, totalBytesProcessed: 13 });
  });

  it('adds one blob, and the trees on the way to it, when one object changed', async () => {
    const { repository } = await makeRepository();
    const contents: Record<string, string> = {};
    for (let i = 0; i < 300; i++) contents[`folder ${i % 10}/sub/object ${i}`] = `content ${i}`;
    const first = await store(repository, entriesOf(contents), T1);
    expect(first.summary).toMatchObject({ filesNew: 300, dirsNew: 20, dataBlobs: 300, treeBlobs: 21 });
    const second = await store(repository, entriesOf({ ...contents, 'folder 3/sub/object 3': 'other' }), T2);
    expect(second.parentId).toBe(first.snapshotId);
    expect(second.summary).toMatchObject({
      filesNew: 0,
      filesChanged: 1,
      filesUnmodified: 299,
      dirsNew: 0,
      dirsChanged: 2,
      dirsUnmodified: 18,
      dataBlobs: 1,
      treeBlobs: 3,
    });
    const third = await store(
      repository,
      entriesOf({ ...contents, 'folder 3/sub/object 3': 'other' }),
      '2024-03-03T00:00:00Z',
    );
    expect(third.summary).toMatchObject({ filesUnmodified: 300, dirsUnmodified: 20, dataBlobs: 0, treeBlobs: 0 });
    expect(third.snapshot.tree).toBe(second.snapshot.tree);
  });

  it('keeps the time of an object while its content stays the same, unless it has one of its own', async () => {
    const { repository } = await makeRepository();
    const own = { path: 'd/own', content: 'x', mtime: '2010-01-01T00:00:00Z' };
    await store(repository, [{ path: 'd/same', content: 'same' }, { path: 'd/new', content: 'old' }, own], T1);
    const { snapshot } = await store(
      repository,
      [
        { path: 'd/same', content: 'same' },
        { path: 'd/new', content: 'new' },
        { ...own, mtime: '2011-01-01T00:00:00Z' },
      ],
      T2,
    );
    const nodes = await nodesOf(repository, snapshot.tree);
    const times = ['/d/same', '/d/new', '/d/own', '/d'].map((path) => nodes.get(path)?.mtime);
    expect(times).toEqual([T1, T2, '2011-01-01T00:00:00Z', T2]);
  });

  it.each([
    ['the same path twice', ['a/b', '/a/b/']],
    ['an object in an object', ['a', 'a/b']],
    ['an object that is a folder', ['a/b', 'a']],
    ['no path', ['/']],
    ['a way out', ['a/../b']],
    ['a dot', ['./a']],
    ['a NUL', ['a\0']],
    ['half a character', ['a\ud83d']],
    ['a surrogate that stands for no byte', ['\udfff']],
  ])('refuses %s', async (_name, paths) => {
    const { repository, backend } = await makeRepository();
    const storing = store(
      repository,
      paths.map((path) => ({ path, content: path })),
    );
    expect(await codeOf(storing)).toBe('bad-request');
    expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
  });

  it('refuses times that nobody could read again, and no objects at all', async () => {
    const { repository, backend } = await makeRepository();
    for (const mtime of [new Date(Number.NaN), 'yesterday', '2024-13-01T00:00:00Z']) {
      expect(await codeOf(store(repository, [{ path: 'a', content: '', mtime }]))).toBe('bad-request');
    }
    for (const time of [new Date(Number.NaN), 'now']) {
      expect(await codeOf(backup(repository, { source: objects(entriesOf({ a: '' })), time }))).toBe('bad-request');
    }
    expect(await codeOf(store(repository, []))).toBe('bad-request');
    expect(await names(backend, 'snapshot')).toEqual([]);
  });

  it('refuses at once what would be dropped, wait forever or make a snapshot that nobody can read', async () => {
    const { repository, backend } = await makeRepository();
    const wrong: [Partial<BackupOptions>, typeof TypeError | typeof RangeError][] = [
      [{ source: stream({ content: [42] as unknown as string[] }) }, TypeError],
      [{ source: objects([{ path: 'a', content: [['b']] as unknown as string[] }]) }, TypeError],
      [{ readConcurrency: 0 }, RangeError],
      [{ readConcurrency: Number.NaN }, RangeError],
      [{ tags: [1] as unknown as string[] }, TypeError],
      [{ tags: 'a' as unknown as string[] }, TypeError],
    ];
    for (const [options, kind] of wrong) {
      await expect(backup(repository, { source: objects(entriesOf({ a: '' })), ...options })).rejects.toThrow(kind);
    }
    expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
  });

  it('takes objects and contents from generators, once', async () => {
    const { repository } = await makeRepository();
    async function* generate(): AsyncGenerator<ObjectEntry> {
      for (let i = 0; i < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const content = (async function* () {
          yield 'part 1, ';
          yield new TextEncoder().encode(`part ${i}`);
        })();
        yield { path: `o${i}`, content };
      }
    }
    const entries = generate();
    const { snapshot } = await backup(repository, { source: objects(entries) });
    expect(await contentsOf(repository, snapshot.tree)).toEqual(
      Object.fromEntries([0, 1, 2].map((i) => [`/o${i}`, Buffer.from(`part 1, part ${i}`)])),
    );
    // It has been used up: an empty snapshot would look like a loss.
    expect(await codeOf(backup(repository, { source: objects(entries) }))).toBe('bad-request');
  });

  it('leaves out damage in the parent snapshot', async () => {
    const { repository, backend } = await makeRepository();
    const first = await store(repository, entriesOf({ 'a/b': '1' }), T1);
    const { pack = '' } = (await repository.loadIndex()).locate('tree', first.snapshot.tree) ?? {};
    await backend.remove({ type: 'data', name: pack });
    const second = await store(repository, entriesOf({ 'a/b': '1', c: '2' }), T2);
    expect(second.problems.join()).toContain('cannot be read');
    expect(second.parentId).toBe(first.snapshotId);
  });
});

describe('contents longer than a window', () => {
  it.each([0, 2])(
    'are cut like whole ones, however they come in pieces, with %i workers',
    async (workers) => {
      const { repository, backend } = await makeRepository({}, { workers });
      const content = noise((17 << 20) + 12_345, 3);
      const cutter = rabin({ ...RESTIC_SIZES, polynomial: parsePolynomial(POLYNOMIAL) });
      const expected: string[] = [];
      for await (const chunk of chunks([content], cutter)) expected.push(sha256(chunk));
      function* pieces(sizes: readonly number[]): Generator<Uint8Array> {
        for (let at = 0, i = 0; at < content.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          yield content.subarray(at, at + size);
          at += size;
        }
      }
      const { snapshot } = await store(repository, [
        { path: 'whole', content },
        { path: 'small pieces', content: pieces([65_536, 1, 100_000]) },
        { path: 'large pieces', content: pieces([9 << 20]) },
        { path: 'windows', content: pieces([8 << 20]) },
      ]);
      const nodes = await nodesOf(repository, snapshot.tree);
      for (const node of nodes.values())
        expect([node.name, node.content, node.size]).toEqual([node.name, expected, content.length]);
      const contents = await contentsOf(await opened(backend), snapshot.tree);
      for (const bytes of Object.values(contents)) expect(bytes.equals(content)).toBe(true);
      expect(Object.keys(contents)).toHaveLength(4);
      await repository[Symbol.asyncDispose]();
    },
    30_000,
  );

  it('are what they were when they end with a window, or are all alike', async () => {
    const { repository } = await makeRepository();
    const contents: Record<string, Uint8Array> = { exact: noise(8 << 20, 5), zeros: new Uint8Array((16 << 20) + 1) };
    const { snapshot } = await store(
      repository,
      Object.entries(contents).map(([path, content]) => ({ path, content })),
    );
    for (const [path, bytes] of Object.entries(await contentsOf(repository, snapshot.tree))) {
      expect(bytes.equals(contents[path.slice(1)] ?? new Uint8Array())).toBe(true);
    }
  }, 30_000);
});

describe('backing up a stream', () => {
  it('makes one file of it, without a parent', async () => {
    const { repository } = await makeRepository();
    for (let i = 0; i < 2; i++) {
      const result = await backup(repository, {
        source: stream({ path: 'db/dump.sql', content: ['create ', 'table'] }),
      });
      expect(result.parentId).toBeUndefined();
      expect(result.snapshot.paths).toEqual(['/db/dump.sql']);
      expect(await contentsOf(repository, result.snapshot.tree)).toEqual({
        '/db/dump.sql': Buffer.from('create table'),
      });
    }
    const { snapshot } = await backup(repository, { source: stream({ content: new Blob(['web']).stream() }) });
    expect(await contentsOf(repository, snapshot.tree)).toEqual({ '/stdin': Buffer.from('web') });
  });

  it.each([0, 9 << 20])('fails when the stream fails after %i bytes, without a snapshot', async (length) => {
    const { repository, backend } = await makeRepository();
    const broken = new Error('the database went away');
    async function* content(): AsyncGenerator<Uint8Array> {
      yield noise(length, 1);
      throw broken;
    }
    await expect(backup(repository, { source: stream({ content: content() }) })).rejects.toBe(broken);
    expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
  });

  it('ends at an abort although the stream, or the source of objects, stalls', async () => {
    const { repository, backend } = await makeRepository();
    let isLeft = false;
    const stalled = (first: unknown): AsyncIterable<never> => ({
      [Symbol.asyncIterator]: () => {
        let next = 0;
        return {
          next: () =>
            next++ === 0 ? Promise.resolve({ value: first as never, done: false }) : new Promise(() => undefined),
          return: async () => {
            isLeft = true;
            return { value: undefined as never, done: true };
          },
        };
      },
    });
    for (const source of [
      stream({ content: stalled('some text') }),
      objects(stalled({ path: 'a', content: 'x' })),
      objects([
        { path: 'a', content: stalled('x') },
        { path: 'b', content: stalled('x') },
      ]),
    ]) {
      isLeft = false;
      const stop = new AbortController();
      const since = performance.now();
      const running = codeOf(backup(repository, { source, signal: stop.signal }));
      setTimeout(() => stop.abort(), 300);
      expect(await running).toBe('aborted');
      expect(performance.now() - since).toBeLessThan(10_000);
      expect(isLeft).toBe(true);
      expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
    }
  });

  it('fails at once when one object fails while the source of the others stalls', async () => {
    const { repository } = await makeRepository();
    const broken = new Error('broken');
    async function* entries(): AsyncGenerator<ObjectEntry> {
      const failing = {
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject<IteratorResult<string>>(broken) }),
      };
      yield { path: 'a', content: failing };
      await new Promise(() => undefined);
    }
    await expect(backup(repository, { source: objects(entries()) })).rejects.toBe(broken);
  });

  it('lets a source tidy up when an object cannot be stored', async () => {
    const { repository } = await makeRepository();
    let isTidy = false;
    function* entries(): Generator<ObjectEntry> {
      try {
        for (;;) yield { path: 'twice', content: '' };
      } finally {
        isTidy = true;
      }
    }
    expect(await codeOf(store(repository, entries()))).toBe('bad-request');
    expect(isTidy).toBe(true);
  });
});

describe('any objects', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', 'ü', '\ud83d\ude00'), { minLength: 1, maxLength: 4 })
    .map((names) => names.join('/'));
  const object = fc.record({
    path,
    length: fc.oneof(fc.nat(2000), fc.constantFrom(0, 512 * 1024, 600_000, 2 << 20)),
    seed: fc.nat(5),
  });

  it('have the same tree with 0, 1 and 2 workers', async () => {
    const repositories = await Promise.all(
      [0, 1, 2].map(async (workers) => (await makeRepository({}, { workers })).repository),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(object, { selector: (item) => item.path, minLength: 1, maxLength: 12 }),
        async (items) => {
          // No object may be the folder of another.
          const isFree = (candidate: string): boolean => !items.some((item) => item.path.startsWith(`${candidate}/`));
          const entries = items
            .filter((item) => isFree(item.path))
            .map((item) => ({ path: item.path, content: noise(item.length, item.seed) }));
          const results = await Promise.all(repositories.map((repository) => store(repository, entries, T1)));
          expect(new Set(results.map(({ snapshot }) => snapshot.tree)).size).toBe(1);
        },
      ),
      { numRuns: 15, interruptAfterTimeLimit: 4000, markInterruptAsFailure: false },
    );
    await Promise.all(repositories.map((repository) => repository[Symbol.asyncDispose]()));
  }, 30_000);
});
