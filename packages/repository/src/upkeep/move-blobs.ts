/** Blobs on their way from packs into an upload, of the same repository or of another. */
import { EngineError } from '@restic-engine/repo-format';
import type { Id, SealedBlob } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { BlobLocation } from '../index/blob-table.ts';
import type { IndexedRepository } from '../indexed.ts';
import { mergeRanges } from '../load/ranges.ts';
import type { BlobRange } from '../load/ranges.ts';
import type { Repository } from '../repository.ts';
import type { Upload } from '../store/upload.ts';
import { inParallel } from './in-parallel.ts';
import { isSameRepository, repackBlobs } from './repack-task.ts';

export interface MoveOptions {
  readonly from: IndexedRepository;
  /** The repository that `upload` stores in. */
  readonly to: Repository;
  readonly upload: Upload;
  /** 1 for the numbers of the blobs to move in the table of `from`; each becomes 0 when its turn comes. */
  readonly wanted: Uint8Array;
  /** Where the blobs are. */
  readonly packs: ReadonlySet<Id>;
  readonly onPack?: ((packsDone: number) => void) | undefined;
}

/**
 * Puts blobs into an upload, verified and sealed for its repository. Of each pack only the parts that are wanted are
 * read. Rejects with `corrupt` when no copy of a blob is sound.
 */
export async function moveBlobs({ from, to, upload, wanted, packs, onPack }: MoveOptions): Promise<void> {
  const { table, repository } = from;
  let done = 0;
  const contents = table.byPack((pack) => packs.has(pack));
  const places = repository.backend.traits.connections;
  await inParallel(contents, { places, signal: upload.signal }, async ({ blobs }) => {
    const chosen = blobs.filter(({ type, id }) => {
      const number = table.numberOf(type, id);
      const isWanted = wanted[number] === 1;
      // Once is enough.
      wanted[number] = 0;
      return isWanted;
    });
    for (const portion of portions(chosen, from.repository, to)) {
      for (const range of mergeRanges(portion)) await upload.add(await takeRange(from, to, range, upload.signal));
    }
    onPack?.(++done);
  });
  if (wanted.includes(1)) throw new Error('a blob that is needed would be lost');
}

/** Bytes of blobs in memory together, uncompressed. */
const PORTION_BYTES = 32 << 20;

/** Where blobs are stored uncompressed, what a range of a pack becomes may be many times as long. */
function* portions(
  blobs: readonly BlobLocation[],
  { codecSpec: from }: Repository,
  { codecSpec: to }: Repository,
): Generator<readonly BlobLocation[]> {
  if (isSameRepository(from, to) || (to.version === 2 && to.compression !== 'off')) {
    yield blobs;
    return;
  }
  let portion: BlobLocation[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    if (portion.length > 0 && bytes + blob.uncompressedLength > PORTION_BYTES) {
      yield portion;
      portion = [];
      bytes = 0;
    }
    portion.push(blob);
    bytes += blob.uncompressedLength;
  }
  yield portion;
}

async function takeRange(
  indexed: IndexedRepository,
  to: Repository,
  { offset, length, blobs }: BlobRange,
  signal: AbortSignal,
): Promise<readonly SealedBlob[]> {
  const [first] = blobs;
  if (first === undefined) return [];
  try {
    const metadata = first.type === 'tree';
    const bytes = await indexed.loadRange(first.pack, { offset, length }, { signal, metadata });
    const input = { from: indexed.repository.codecSpec, to: to.codecSpec, bytes, offset, blobs };
    return await to.pool.run(repackBlobs, input, { signal, transfer: [bytes.buffer] });
  } catch (error) {
    if (!EngineError.is(error, 'corrupt')) throw error;
    return sealAgain(indexed, to, blobs, signal);
  }
}

/** Another copy may be sound, or the same one at the second attempt. */
async function sealAgain(
  indexed: IndexedRepository,
  to: Repository,
  blobs: BlobRange['blobs'],
  signal: AbortSignal,
): Promise<SealedBlob[]> {
  const { seal } = codecFor(to.codecSpec);
  const sealed: SealedBlob[] = [];
  for (const { type, id } of blobs) sealed.push(seal(type, await indexed.loadBlob(type, id, { signal }), id));
  return sealed;
}
