import { describe, expect, it } from 'vitest';
import { encodeIndex } from '@restic-engine/repo-format';
import type { PackEntry } from '@restic-engine/repo-format';
import { BlobTable } from '../src/index/blob-table.ts';
import { surveyIndexFiles } from '../src/index/load-index.ts';
import type { Repository } from '../src/repository.ts';
import { rewriteIndex } from '../src/upkeep/rewrite-index.ts';
import { idOf, initialized, names, opened } from './harness.ts';

const FULL = 50_000;

/** Packs of `size` blobs each, `count` in all; the numbers of their blobs begin at `from`. */
function packsOf(from: number, count: number, size: number): { id: string; blobs: PackEntry[] }[] {
  return Array.from({ length: count }, (_, pack) => ({
    id: idOf(-1 - from - pack),
    blobs: Array.from({ length: size }, (_unused, index) => ({
      id: idOf(from + pack * size + index),
      type: 'data' as const,
      offset: index * 100,
      length: 100,
      uncompressedLength: 0,
    })),
  }));
}

const full = packsOf(0, 10, FULL / 10);
const small = packsOf(FULL, 3, 2);

async function setUp(...files: { id: string; blobs: PackEntry[] }[][]) {
  const repository = await opened(await initialized());
  const ids: string[] = [];
  for (const packs of files) ids.push(await repository.saveFile('index', encodeIndex(packs)));
  return { repository, ids };
}

async function rewrite(repository: Repository, without: readonly string[]) {
  const table = new BlobTable();
  const { files } = await surveyIndexFiles(repository, table);
  await rewriteIndex(repository, { files, obsolete: [], sources: [{ table, without: new Set(without) }] });
  return {
    before: table,
    after: (await repository.loadIndex()).table,
    files: await names(repository.backend, 'index'),
  };
}

describe('rewriting the index', () => {
  it('keeps full files as they are and joins the others', async () => {
    const { repository, ids } = await setUp(full, small, packsOf(90_000, 1, 5));
    const { before, after, files } = await rewrite(repository, []);
    expect(files).toHaveLength(2);
    expect(files).toContain(ids[0]);
    expect(after.packCounts()).toEqual(new Map([...after.packs].map((pack) => [pack, before.packCounts().get(pack)])));
    expect(after.size).toBe(FULL + 11);
  });

  it('leaves packs out, also of full files', async () => {
    const { repository, ids } = await setUp(full, small);
    const gone = [full[3]!.id, small[0]!.id];
    const { after, files } = await rewrite(repository, gone);
    expect(files).not.toContain(ids[0]);
    expect(after.size).toBe(FULL - FULL / 10 + 4);
    for (const pack of gone) expect(after.packs).not.toContain(pack);
  });

  it('names a pack once, and whole, that was split or named twice', async () => {
    const [first, ...others] = small;
    const half = { id: first!.id, blobs: first!.blobs.slice(0, 1) };
    const rest = { id: first!.id, blobs: first!.blobs.slice(1) };
    const { repository } = await setUp([half, ...others], [rest], small);
    const { after, files } = await rewrite(repository, []);
    expect(files).toHaveLength(1);
    expect(after.size).toBe(6);
    expect(after.packCounts().get(first!.id)).toBe(2);
  });

  it('leaves no file when there is nothing to name', async () => {
    const { repository } = await setUp(small);
    const { files } = await rewrite(
      repository,
      small.map(({ id }) => id),
    );
    expect(files).toEqual([]);
  });
});
