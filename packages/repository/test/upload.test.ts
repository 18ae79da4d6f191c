import { describe, expect, it } from 'vitest';
import { EngineError, sha256 } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import { withFaults } from '../../backends/src/index.ts';
import type { FaultCall } from '../../backends/src/index.ts';
import { withUpload } from '../src/store/upload.ts';
import { codeOf, idOf, initialized, makeRepository, names, noise, opened, sealedOf, text } from './harness.ts';

const SMALL_PACKS = { packSize: 4 << 20, compression: 'off' } as const;

function isSaveOf(type: string): (call: FaultCall) => boolean {
  return ({ method, type: saved }) => method === 'save' && saved === type;
}

/** Are these contents readable by somebody who opens the repository now? */
async function readable(backend: Backend, contents: readonly Uint8Array[]): Promise<boolean[]> {
  await using repository = await opened(backend);
  const indexed = await repository.loadIndex();
  return await Promise.all(
    contents.map(async (content) => {
      const id = sha256(content);
      if (!indexed.has('data', id)) return false;
      return Buffer.compare(await indexed.loadBlob('data', id), content) === 0;
    }),
  );
}

describe('an upload', () => {
  it.each([0, 2])('stores blobs that can be read afterwards, with %i workers', async (workers) => {
    const backend = await initialized();
    await using repository = await opened(backend, { workers });
    const contents = [text('one'), text('two'), noise(100_000, 1), noise(3 << 20, 2)];
    const indexed = await repository.loadIndex();
    const saved = await withUpload(indexed, {}, async (upload) => {
      const results = [];
      for (const content of [...contents, text('one')]) results.push(await upload.save('data', content));
      results.push(await upload.save('tree', text('one')));
      return results;
    });
    expect(saved.map(({ isNew }) => isNew)).toEqual([true, true, true, true, false, true]);
    expect(saved.map(({ id }) => id)).toEqual([...contents, text('one'), text('one')].map(sha256));
    expect(await readable(backend, contents)).toEqual([true, true, true, true]);
    expect(await names(backend, 'data')).toHaveLength(2);
    for (const content of contents) expect(await indexed.loadBlob('data', sha256(content))).toEqual(content);
  });

  it('counts what it stores', async () => {
    const { repository } = await makeRepository({}, { compression: 'off' });
    const totals = await withUpload(await repository.loadIndex(), {}, async (upload) => {
      await upload.save('data', noise(100, 1));
      await upload.save('data', noise(100, 1));
      await upload.save('tree', noise(10, 3));
      const sealed = sealedOf('data', noise(50, 2));
      expect(upload.claim('data', [sealed.id, sealed.id])).toEqual([true, false]);
      await upload.add([sealed]);
      return upload.totals;
    });
    // Trees are compressed whatever the options say: ten random bytes become a frame of 19.
    expect(totals).toMatchObject({ dataBlobs: 2, treeBlobs: 1, added: 160 });
    expect(totals.stored).toBeGreaterThan(150 + 10 + 3 * 32);
  });

  it('refuses an empty blob, which no pack can hold', async () => {
    const { repository } = await makeRepository();
    await withUpload(await repository.loadIndex(), {}, async (upload) => {
      await expect(upload.save('data', new Uint8Array(0))).rejects.toThrow(RangeError);
    });
  });

  it('saves every pack before the index that names it, and keeps to the connections of the store', async () => {
    const log: string[] = [];
    let running = 0;
    let most = 0;
    const memory = await initialized();
    const backend: Backend = {
      ...withFaults({})(memory),
      traits: { ...memory.traits, connections: 3 },
      async save(file, segments, call) {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        await memory.save(file, segments, call);
        running -= 1;
        log.push(`${file.type} ${file.name}`);
      },
    };
    const repository = await opened(backend, SMALL_PACKS);
    await withUpload(await repository.loadIndex(), {}, async (upload) => {
      const saving = Array.from({ length: 40 }, (_, i) => upload.save('data', noise(1 << 20, i)));
      await Promise.all(saving);
    });
    const packs = log.filter((line) => line.startsWith('data'));
    expect(packs.length).toBeGreaterThan(7);
    expect(log.at(-1)).toMatch(/^index/);
    expect(log.filter((line) => line.startsWith('index'))).toHaveLength(1);
    expect(most).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThan(1);
  });

  it.each(['data', 'index'])('forgets everything when saving %s fails: the next one stores it again', async (type) => {
    const contents = Array.from({ length: 12 }, (_, i) => noise(1 << 20, i));
    const full = new EngineError('no-space', 'the disk is full');
    const fault = {
      when: isSaveOf(type),
      nth: type === 'data' ? 2 : 1,
      effect: { kind: 'fail-before', error: full },
    } as const;
    const { repository, backend } = await makeRepository({ faults: [fault] }, SMALL_PACKS);
    const indexed = await repository.loadIndex();
    const store = (): Promise<void> =>
      withUpload(indexed, {}, async (upload) => {
        for (const content of contents) await upload.save('data', content);
      });
    // Some packs are in the store by now. No index names them.
    expect(await codeOf(store())).toBe('no-space');
    expect(contents.map((content) => indexed.has('data', sha256(content)))).toEqual(contents.map(() => false));
    expect(indexed.table.pending).toBe(0);
    await store();
    expect(await readable(backend, contents)).toEqual(contents.map(() => true));
  });

  it('rejects with what failed first, not with the abort that it causes', async () => {
    const full = new EngineError('no-space', 'the disk is full');
    const fault = { when: isSaveOf('data'), effect: { kind: 'fail-before', error: full } } as const;
    const { repository } = await makeRepository({ faults: [fault] }, SMALL_PACKS);
    const failing = withUpload(await repository.loadIndex(), {}, async (upload) => {
      for (let i = 0; ; i++) {
        await upload.save('data', noise(1 << 20, i));
        if (upload.signal.aborted) throw new EngineError('aborted', 'the body noticed');
      }
    });
    await expect(failing).rejects.toBe(full);
  });

  it('rejects with what its body throws, whatever that is, and stops what is under way', async () => {
    const saves: string[] = [];
    const { repository, backend } = await makeRepository(
      { onCall: ({ method, type }) => method === 'save' && saves.push(String(type)) },
      SMALL_PACKS,
    );
    const mistake = new TypeError('a mistake');
    const indexed = await repository.loadIndex();
    const failing = withUpload(indexed, {}, async (upload) => {
      await upload.save('data', noise(1 << 20, 1));
      throw mistake;
    });
    await expect(failing).rejects.toBe(mistake);
    expect(saves).toEqual([]);
    expect(await names(backend, 'index')).toEqual([]);
    expect(indexed.has('data', sha256(noise(1 << 20, 1)))).toBe(false);
  });

  it('rejects with aborted when the signal fires, and saves nothing afterwards', async () => {
    const stop = new AbortController();
    const saves: string[] = [];
    const { repository } = await makeRepository(
      { onCall: ({ method, type }) => method === 'save' && saves.push(String(type)) },
      SMALL_PACKS,
    );
    const failing = withUpload(await repository.loadIndex(), { signal: stop.signal }, async (upload) => {
      for (let i = 0; i < 20; i++) await upload.save('data', noise(1 << 20, i));
      stop.abort();
    });
    expect(await codeOf(failing)).toBe('aborted');
    const then = saves.length;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(saves).toHaveLength(then);
    expect(saves).not.toContain('index');
  });

  it('rejects when a claimed blob was never stored', async () => {
    const { repository } = await makeRepository();
    const indexed = await repository.loadIndex();
    const careless = withUpload(indexed, {}, async (upload) => upload.claim('data', [idOf(1)]));
    await expect(careless).rejects.toThrow('1 blobs were claimed and never stored');
    expect(indexed.has('data', idOf(1))).toBe(false);
  });

  it('takes nothing more when it has ended', async () => {
    const { repository } = await makeRepository();
    const upload = await withUpload(await repository.loadIndex(), {}, async (open) => open);
    await expect(upload.save('data', text('late'))).rejects.toThrow('has ended');
    expect(() => upload.claim('data', [idOf(1)])).toThrow('has ended');
  });

  it('writes nothing in a dry run, and takes nothing for stored afterwards', async () => {
    const { repository, backend } = await makeRepository({}, SMALL_PACKS);
    const indexed = await repository.loadIndex();
    const contents = Array.from({ length: 9 }, (_, i) => noise(1 << 20, i));
    const store = (dryRun: boolean): Promise<boolean[]> =>
      withUpload(indexed, { dryRun }, async (upload) => {
        const results = [];
        for (const content of [...contents, ...contents]) results.push((await upload.save('data', content)).isNew);
        return results;
      });
    const expected = [...contents.map(() => true), ...contents.map(() => false)];
    expect(await store(true)).toEqual(expected);
    expect([...(await names(backend, 'data')), ...(await names(backend, 'index'))]).toEqual([]);
    expect(await store(false)).toEqual(expected);
    expect(await readable(backend, contents)).toEqual(contents.map(() => true));
  });

  it('refuses a second one on the same index, until the first has ended', async () => {
    const { repository } = await makeRepository();
    const indexed = await repository.loadIndex();
    await withUpload(indexed, {}, async () => {
      expect(await codeOf(withUpload(indexed, {}, async () => undefined))).toBe('bad-request');
    });
    await withUpload(indexed, {}, async () => undefined);
  });

  it('writes nothing when nothing is new', async () => {
    const { repository, backend } = await makeRepository();
    await withUpload(await repository.loadIndex(), {}, (upload) => upload.save('data', text('once')));
    const before = await names(backend, 'index');
    await withUpload(await repository.loadIndex(), {}, (upload) => upload.save('data', text('once')));
    expect(await names(backend, 'index')).toEqual(before);
  });

  it('stores a blob that is longer than a pack in one of its own', async () => {
    const { repository, backend } = await makeRepository({}, SMALL_PACKS);
    const long = noise(6 << 20, 1);
    await withUpload(await repository.loadIndex(), {}, async (upload) => {
      await upload.save('data', text('short'));
      await upload.save('data', long);
    });
    expect(await names(backend, 'data')).toHaveLength(2);
    expect(await readable(backend, [long, text('short')])).toEqual([true, true]);
  });
});
