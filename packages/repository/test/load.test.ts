import { describe, expect, it } from 'vitest';
import { encodeIndex, encodeTree, EngineError, sha256 } from '@restic-engine/repo-format';
import type { Backend, Id, PackEntry } from '@restic-engine/repo-format';
import { withFaults } from '../../backends/src/index.ts';
import type { Fault, FaultCall } from '../../backends/src/index.ts';
import type { Repository } from '../src/repository.ts';
import { withUpload } from '../src/store/upload.ts';
import { codeOf, idOf, initialized, makeRepository, names, noise, opened, text } from './harness.ts';

const isLoadOf =
  (type: string, name?: string) =>
  (call: FaultCall): boolean =>
    call.method === 'load' && call.type === type && (name === undefined || call.file?.name === name);

async function store(repository: Repository, type: 'data' | 'tree', contents: readonly Uint8Array[]): Promise<void> {
  await withUpload(await repository.loadIndex(), {}, async (upload) => {
    for (const content of contents) await upload.save(type, content);
  });
}

/** Stores the same blob twice, in packs of their own: the second writer has not seen the first one's index. */
async function storeTwice(backend: Backend, content: Uint8Array): Promise<Id[]> {
  const repository = await opened(backend);
  const [one, other] = [await repository.loadIndex(), await repository.loadIndex()];
  for (const indexed of [one, other]) await withUpload(indexed, {}, (upload) => upload.save('data', content));
  return names(backend, 'data');
}

describe('loading a blob', () => {
  it('takes the second copy when the first is damaged, and says what is wrong with the first when both are', async () => {
    const backend = await initialized();
    const content = noise(1000, 1);
    const packs = await storeTwice(backend, content);
    expect(packs).toHaveLength(2);
    for (const [i, pack] of packs.entries()) {
      const fault: Fault = { when: isLoadOf('data', pack), effect: { kind: 'flip', offset: 20 } };
      const one = await (await opened(withFaults({ faults: [fault] })(backend))).loadIndex();
      expect(await one.loadBlob('data', sha256(content))).toEqual(content);
      const missing: Fault = {
        when: isLoadOf('data', packs[1 - i]),
        effect: { kind: 'fail-before', error: new EngineError('not-found', 'gone') },
      };
      const none = await (await opened(withFaults({ faults: [fault, missing] })(backend))).loadIndex();
      const first = none.locate('data', sha256(content))?.pack;
      expect(await codeOf(none.loadBlob('data', sha256(content)))).toBe(first === pack ? 'corrupt' : 'not-found');
    }
  });

  it('reads again what arrived damaged', async () => {
    const fault: Fault = { when: isLoadOf('data'), nth: 1, effect: { kind: 'flip', offset: 3 } };
    const { repository } = await makeRepository({ faults: [fault] });
    await store(repository, 'data', [text('content')]);
    expect(await (await repository.loadIndex()).loadBlob('data', sha256(text('content')))).toEqual(text('content'));
  });

  it('rejects for blobs that are in no index, or of the other type', async () => {
    const { repository } = await makeRepository();
    await store(repository, 'data', [text('content')]);
    const indexed = await repository.loadIndex();
    expect(await codeOf(indexed.loadBlob('data', idOf(1)))).toBe('not-found');
    expect(await codeOf(indexed.loadBlob('tree', sha256(text('content'))))).toBe('not-found');
    expect(await codeOf(indexed.loadTree(idOf(1)))).toBe('not-found');
  });

  it('stops at an abort', async () => {
    const { repository } = await makeRepository();
    await store(repository, 'data', [text('content')]);
    const indexed = await repository.loadIndex();
    const call = { signal: AbortSignal.abort() };
    expect(await codeOf(indexed.loadBlob('data', sha256(text('content')), call))).toBe('aborted');
    expect(await codeOf(repository.loadIndex(call))).toBe('aborted');
  });

  it('knows the plain length of blobs, compressed or not', async () => {
    for (const compression of ['auto', 'off'] as const) {
      const { repository } = await makeRepository({}, { compression });
      await store(repository, 'data', [new Uint8Array(5000), new Uint8Array(1)]);
      const indexed = await repository.loadIndex();
      expect(indexed.plainLength('data', sha256(new Uint8Array(5000)))).toBe(5000);
      expect(indexed.plainLength('data', sha256(new Uint8Array(1)))).toBe(1);
      expect(indexed.plainLength('data', idOf(1))).toBeUndefined();
    }
  });
});

/** A tree of about `bytes` bytes that does not compress, different for each seed. */
function treeOf(bytes: number, seed: number): Uint8Array {
  const linkTarget = Buffer.from(noise(bytes / 2, seed)).toString('hex');
  const time = '2020-01-02T03:04:05Z';
  const node = {
    name: `link ${seed}`,
    type: 'symlink',
    mode: 0o777 + 2 ** 27,
    mtime: time,
    atime: time,
    ctime: time,
    uid: 0,
    gid: 0,
    linkTarget,
    content: null,
  } as const;
  return encodeTree([node]);
}

describe('reading trees ahead', () => {
  it('gives trees wherever they lie: across the border of a stretch, behind it, longer than one', async () => {
    let loads = 0;
    const { repository } = await makeRepository({ onCall: (call) => void (isLoadOf('data')(call) && loads++) });
    // About 300 KiB stored each: some lie across the borders at 1, 2, 3 and 4 MiB. One is longer than a stretch.
    const trees = [...Array.from({ length: 10 }, (_, i) => treeOf(600_000, i)), treeOf(2_400_000, 99)];
    await store(repository, 'tree', trees);
    const indexed = await repository.loadIndex();
    const stretches = new Set<string>();
    let crossing = 0;
    let long = 0;
    for (const tree of trees) {
      const { pack = '', offset = 0, length = 0 } = indexed.locate('tree', sha256(tree)) ?? {};
      const [first, last] = [offset, offset + length - 1].map((at) => Math.floor(at / (1 << 20)));
      if (length > 1 << 20) long += 1;
      else {
        stretches.add(`${pack} ${first}`).add(`${pack} ${last}`);
        if (first !== last) crossing += 1;
      }
    }
    expect(long).toBe(1);
    expect(crossing).toBeGreaterThan(1);
    for (const tree of trees) expect(Buffer.compare(await indexed.loadTreeBytes(sha256(tree)), tree)).toBe(0);
    // What was put together wrongly would be read once more, alone.
    expect(loads).toBe(stretches.size + long);
  });

  it('asks the store once for trees that lie together', async () => {
    const loads: string[] = [];
    const { repository } = await makeRepository({
      onCall: ({ method, type }) => type === 'data' && loads.push(method),
    });
    const trees = Array.from({ length: 50 }, (_, i) => treeOf(1000, i));
    await store(repository, 'tree', trees);
    const indexed = await repository.loadIndex();
    loads.length = 0;
    await Promise.all(trees.map((tree) => indexed.loadTree(sha256(tree))));
    for (const tree of trees) await indexed.loadTree(sha256(tree));
    expect(loads).toEqual(['load']);
  });

  it('falls back to the blob alone when what was read ahead is damaged, and rejects for a pack that ends early', async () => {
    const backend = await initialized();
    const tree = treeOf(1000, 1);
    await store(await opened(backend), 'tree', [tree]);
    const [pack = ''] = await names(backend, 'data');
    const flipped = withFaults({ faults: [{ when: isLoadOf('data'), nth: 1, effect: { kind: 'flip', offset: 9 } }] })(
      backend,
    );
    expect(await (await (await opened(flipped)).loadIndex()).loadTree(sha256(tree))).toHaveLength(1);
    const whole = await backend.load({ type: 'data', name: pack });
    await backend.save({ type: 'data', name: pack }, [whole.subarray(0, 100)]);
    const indexed = await (await opened(backend)).loadIndex();
    expect(await codeOf(indexed.loadTree(sha256(tree)))).toBe('out-of-range');
    await backend.remove({ type: 'data', name: pack });
    expect(await codeOf((await (await opened(backend)).loadIndex()).loadTree(sha256(tree)))).toBe('not-found');
  });

  it('stops waiting at an abort although the store does not answer', async () => {
    const backend = await initialized();
    const tree = treeOf(1000, 1);
    await store(await opened(backend), 'tree', [tree]);
    const answering = withFaults({})(backend);
    const silent: Backend = {
      ...answering,
      load: (file, ...rest) => (file.type === 'data' ? new Promise(() => undefined) : answering.load(file, ...rest)),
    };
    const indexed = await (await opened(silent)).loadIndex();
    const stop = new AbortController();
    const loading = codeOf(indexed.loadTree(sha256(tree), { signal: stop.signal }));
    setTimeout(() => stop.abort(), 5);
    expect(await loading).toBe('aborted');
  });
});

describe('loading the index', () => {
  const entry = (number: number): PackEntry => ({
    id: idOf(number),
    type: 'data',
    offset: 0,
    length: 40,
    uncompressedLength: 0,
  });

  it('merges all files and tells how far it is', async () => {
    const { repository } = await makeRepository();
    for (let i = 0; i < 10; i++)
      await repository.saveFile('index', encodeIndex([{ id: idOf(100 + i), blobs: [entry(i)] }]));
    const told: string[] = [];
    const indexed = await repository.loadIndex({
      onProgress: ({ filesDone, filesTotal }) => told.push(`${filesDone}/${filesTotal}`),
    });
    expect(told).toEqual(Array.from({ length: 10 }, (_, i) => `${i + 1}/10`));
    for (let i = 0; i < 10; i++) expect(indexed.locate('data', idOf(i))?.pack).toBe(idOf(100 + i));
  });

  it('keeps a blob once that two files name in the same place, and each copy in different packs', async () => {
    const { repository } = await makeRepository();
    await repository.saveFile('index', encodeIndex([{ id: idOf(100), blobs: [entry(1)] }]));
    await repository.saveFile(
      'index',
      encodeIndex([
        { id: idOf(100), blobs: [entry(1)] },
        { id: idOf(101), blobs: [entry(1)] },
      ]),
    );
    const indexed = await repository.loadIndex();
    expect(
      indexed
        .locateAll('data', idOf(1))
        .map(({ pack }) => pack)
        .toSorted(),
    ).toEqual([idOf(100), idOf(101)].toSorted());
  });

  it('rejects for a damaged file and reads no more of them', async () => {
    const backend = await initialized();
    const writer = await opened(backend);
    for (let i = 0; i < 40; i++)
      await writer.saveFile('index', encodeIndex([{ id: idOf(100 + i), blobs: [entry(i)] }]));
    let loads = 0;
    const plan = { onCall: (call: FaultCall) => void (isLoadOf('index')(call) && loads++) };
    const flip: Fault = { when: isLoadOf('index'), effect: { kind: 'flip', offset: 30 } };
    const repository = await opened(withFaults({ ...plan, faults: [flip] })(backend));
    expect(await codeOf(repository.loadIndex())).toBe('corrupt');
    const then = loads;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(loads).toBe(then);
    expect(loads).toBeLessThan(20);
  });

  it('reads a file again that arrived damaged', async () => {
    const fault: Fault = { when: isLoadOf('index'), nth: 1, effect: { kind: 'flip', offset: 30 } };
    const { repository } = await makeRepository({ faults: [fault] });
    await repository.saveFile('index', encodeIndex([{ id: idOf(100), blobs: [entry(1)] }]));
    expect((await repository.loadIndex()).has('data', idOf(1))).toBe(true);
  });
});
