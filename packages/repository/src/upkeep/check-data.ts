/** Reads packs and looks at everything in them. */
import { EngineError } from '@restic-engine/repo-format';
import type { Call, Id } from '@restic-engine/repo-format';
import type { PackContents } from '../index/blob-table.ts';
import type { IndexedRepository } from '../indexed.ts';
import { Slots } from '../store/slots.ts';
import type { Report } from './check-structure.ts';
import { inParallel } from './in-parallel.ts';
import { failureOf, sentenceOf } from './problems.ts';
import type { CheckProblem } from './problems.ts';
import { verifyPack } from './verify-pack-task.ts';

/** Which packs to read: part `part` of `of` (1 to 256) equal ones, or so many by chance. */
export type PackSubset =
  | { readonly part: number; readonly of: number }
  | { readonly percent: number }
  /** Packs of about that size together. */
  | { readonly bytes: number };

const MOST_PARTS = 256;

/** Rejects a subset that names no packs, with `bad-request`. */
export function checkSubset(subset: PackSubset): void {
  const whole = (value: number): boolean => Number.isInteger(value) && value > 0;
  const valid =
    'part' in subset
      ? whole(subset.part) && whole(subset.of) && subset.part <= subset.of && subset.of <= MOST_PARTS
      : 'percent' in subset
        ? subset.percent > 0 && subset.percent <= 100
        : subset.bytes > 0;
  if (!valid) throw new EngineError('bad-request', 'such a subset of the packs cannot be read', { ...subset });
}

/** The chosen ones of `packs` (id → bytes). */
export function choosePacks(packs: ReadonlyMap<Id, number>, subset: PackSubset | undefined): Set<Id> {
  if (subset === undefined) return new Set(packs.keys());
  if ('part' in subset) {
    const { part, of } = subset;
    return new Set([...packs.keys()].filter((id) => Number.parseInt(id.slice(0, 2), 16) % of === part - 1));
  }
  const total = [...packs.values()].reduce((sum, size) => sum + size, 0);
  const share = Math.min(1, 'percent' in subset ? subset.percent / 100 : subset.bytes / total);
  const count = Math.max(1, Math.floor(packs.size * share));
  return new Set(shuffled([...packs.keys()]).slice(0, count));
}

/** Fisher and Yates' shuffle. Nobody is to be deceived about the order. */
function shuffled(ids: readonly Id[]): Id[] {
  return ids
    .map((id) => ({ id, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ id }) => id);
}

export interface CheckDataOptions extends Call {
  readonly onPack?: ((packsDone: number) => void) | undefined;
  /** Called for each pack in which nothing is wrong. */
  readonly onSoundPack?: ((pack: Id, bytes: number) => void) | undefined;
}

/**
 * Reads the chosen packs; `sizes` has the bytes of each. As many are read at once as the store has connections; memory
 * holds these and one for each worker. Resolves with the number of packs and bytes.
 */
export async function checkData(
  indexed: IndexedRepository,
  sizes: ReadonlyMap<Id, number>,
  chosen: ReadonlySet<Id>,
  report: Report,
  { signal, onPack, onSoundPack }: CheckDataOptions = {},
): Promise<{ packs: number; bytes: number }> {
  const { backend, pool } = indexed.repository;
  const loading = new Slots(backend.traits.connections);
  // While workers look at some, the next are read.
  const places = backend.traits.connections + pool.size;
  const packs = indexed.table.byPack((pack) => chosen.has(pack));
  const done = { packs: 0, bytes: 0 };
  await inParallel(packs, { places, signal }, async (contents) => {
    const { pack } = contents;
    const bytes = sizes.get(pack) ?? 0;
    const { wrong, failure } = await verify(indexed, contents, loading, signal);
    if (wrong.length === 0) onSoundPack?.(pack, bytes);
    else {
      const message = `pack ${pack} contains ${wrong.length} errors: ${wrong.join('; ')}`;
      report({ kind: 'pack-damaged', message, pack, ...(failure !== undefined && { failure }) });
    }
    done.packs += 1;
    done.bytes += bytes;
    onPack?.(done.packs);
  });
  return done;
}

/** What is wrong with a pack, a sentence for each thing. */
interface Verdict extends Pick<CheckProblem, 'failure'> {
  readonly wrong: readonly string[];
}

/** A second look tells damage in the store from damage on the way. */
async function verify(
  indexed: IndexedRepository,
  contents: PackContents,
  loading: Slots,
  signal: AbortSignal | undefined,
): Promise<Verdict> {
  const first = await verifyOnce(indexed, contents, loading, { signal });
  return first.wrong.length === 0 ? first : verifyOnce(indexed, contents, loading, { signal, fresh: true });
}

async function verifyOnce(
  { repository }: IndexedRepository,
  { pack, blobs }: PackContents,
  loading: Slots,
  call: Call,
): Promise<Verdict> {
  let bytes: Uint8Array<ArrayBuffer>;
  await loading.take();
  try {
    bytes = await repository.backend.load({ type: 'data', name: pack }, undefined, call);
  } catch (error) {
    return { wrong: [sentenceOf(error)], ...failureOf(error) };
  } finally {
    loading.give();
  }
  const input = { codec: repository.codecSpec, pack, bytes, entries: blobs };
  const { signal } = call;
  return { wrong: await repository.pool.run(verifyPack, input, { signal, transfer: [bytes.buffer] }) };
}
