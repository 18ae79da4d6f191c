import { describe, expect, it } from 'vitest';
import type { PackEntry } from '@restic-engine/repo-format';
import { Indexer } from '../src/store/indexer.ts';
import type { StoredPack } from '../src/store/indexer.ts';
import { idOf } from './harness.ts';

function packOf(number: number, blobs: number): StoredPack {
  const entry: PackEntry = { id: idOf(0), type: 'data', offset: 0, length: 40, uncompressedLength: 0 };
  return { id: idOf(number), blobs: Array.from({ length: blobs }, () => entry) };
}

function makeIndexer(): { indexer: Indexer; saved: string[][]; clock: { seconds: number } } {
  const saved: string[][] = [];
  const clock = { seconds: 1000 };
  const indexer = new Indexer(
    async (packs) => void saved.push(packs.map(({ id }) => id)),
    () => clock.seconds,
  );
  return { indexer, saved, clock };
}

describe('the indexer', () => {
  it('writes a file with 50,000 blobs, whole packs only', async () => {
    const { indexer, saved } = makeIndexer();
    await indexer.add(packOf(1, 30_000));
    await indexer.add(packOf(2, 19_999));
    expect(saved).toEqual([]);
    await indexer.add(packOf(3, 30_000));
    expect(saved).toEqual([[idOf(1), idOf(2), idOf(3)]]);
    await indexer.add(packOf(4, 50_000));
    expect(saved[1]).toEqual([idOf(4)]);
    await indexer.flush();
    expect(saved).toHaveLength(2);
  });

  it('writes a file with 50,000 packs of which nothing is known', async () => {
    const { indexer, saved } = makeIndexer();
    for (let i = 0; i < 50_001; i++) await indexer.add({ id: idOf(1), blobs: [] });
    expect(saved.map(({ length }) => length)).toEqual([50_000]);
  });

  it('writes a file when its first pack is ten minutes old', async () => {
    const { indexer, saved, clock } = makeIndexer();
    await indexer.add(packOf(1, 1));
    clock.seconds += 599;
    await indexer.add(packOf(2, 1));
    expect(saved).toEqual([]);
    clock.seconds += 1;
    await indexer.add(packOf(3, 1));
    expect(saved).toEqual([[idOf(1), idOf(2), idOf(3)]]);
    clock.seconds += 599;
    await indexer.add(packOf(4, 1));
    expect(saved).toHaveLength(1);
    await indexer.flush();
    expect(saved[1]).toEqual([idOf(4)]);
  });

  it('names packs that come while a file is being written in the next one, and none twice', async () => {
    const saved: string[][] = [];
    const written = Promise.withResolvers<void>();
    const indexer = new Indexer(
      (packs) => {
        saved.push(packs.map(({ id }) => id));
        return written.promise;
      },
      () => 0,
    );
    const first = indexer.add(packOf(1, 50_000));
    await indexer.add(packOf(2, 1));
    const rest = indexer.flush();
    expect(saved).toEqual([[idOf(1)], [idOf(2)]]);
    written.resolve();
    await Promise.all([first, rest]);
  });
});
