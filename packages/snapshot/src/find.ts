/** Finding snapshots: by id, by the beginning of an id, or the latest that passes a filter. */
import { compareTimestamps, decodeSnapshot, EngineError, isId } from '@restic-engine/repo-format';
import type { Call, Code, Id, Snapshot, Timestamp } from '@restic-engine/repo-format';
import type { Repository } from '@restic-engine/repository';

/** A snapshot and the name of its file. */
export interface SnapshotEntry extends Snapshot {
  readonly id: Id;
}

/** What snapshots must have in common to belong together. */
export type GroupBy = 'host' | 'paths' | 'tags';

/** Which snapshots count; what is absent or empty excludes none. */
export interface SnapshotFilter {
  /** The host is one of these. */
  readonly hosts?: readonly string[] | undefined;
  /** All tags of at least one of these lists; the list `['']` means snapshots without tags. */
  readonly tags?: readonly (readonly string[])[] | undefined;
  /** All of these paths. */
  readonly paths?: readonly string[] | undefined;
}

/** Which snapshots to list. */
export interface ListSnapshotsOptions extends Call {
  readonly filter?: SnapshotFilter | undefined;
  /** Takes snapshots that are damaged, which are left out then. @default they reject */
  readonly onBroken?: ((id: Id, error: EngineError) => void) | undefined;
}

/** Which snapshots `latest` and the beginning of an id may mean. */
export interface FindSnapshotOptions extends ListSnapshotsOptions {
  /** `latest` looks at snapshots up to this time only. */
  readonly notAfter?: Timestamp | undefined;
}

/** Every snapshot that passes the filter, in any order. A snapshot that cannot be read rejects unless told otherwise. */
export async function* listSnapshots(
  repository: Repository,
  options: ListSnapshotsOptions = {},
): AsyncGenerator<SnapshotEntry> {
  const { filter, signal } = options;
  const ids: Id[] = [];
  for await (const { name } of repository.list('snapshot', { signal })) ids.push(name);
  const loading: Promise<SnapshotEntry | undefined>[] = [];
  let next = 0;
  const loadNext = (): void => {
    const id = ids[next++];
    if (id === undefined) return;
    const snapshot = loadUnlessBroken(repository, id, options);
    // Whoever consumes this generator meets the error when its turn comes.
    snapshot.catch(() => undefined);
    loading.push(snapshot);
  };
  for (let i = 0; i < repository.backend.traits.connections; i++) loadNext();
  for (let first = loading.shift(); first !== undefined; first = loading.shift()) {
    loadNext();
    const snapshot = await first;
    if (snapshot !== undefined && matchesFilter(snapshot, filter)) yield snapshot;
  }
}

/** What is wrong with a snapshot file itself, rather than with the way to it. */
const DAMAGES: ReadonlySet<Code> = new Set<Code>(['corrupt', 'too-large', 'unsupported']);

/** Does the error of a load say that a snapshot is damaged? */
export function isDamage(error: unknown): error is EngineError {
  return EngineError.is(error) && DAMAGES.has(error.code);
}

async function loadUnlessBroken(
  repository: Repository,
  id: Id,
  { signal, onBroken }: ListSnapshotsOptions,
): Promise<SnapshotEntry | undefined> {
  try {
    return await loadSnapshot(repository, id, { signal });
  } catch (error) {
    if (onBroken === undefined || !isDamage(error)) throw error;
    onBroken(id, error);
    return undefined;
  }
}

export interface SelectOptions extends ListSnapshotsOptions {
  /** Ids, unique beginnings of ids, or `latest`; the filter then counts for `latest` only. */
  readonly ids?: readonly string[] | undefined;
}

/**
 * The snapshots that are named, each once, in that order; without names those that pass the filter, by id.
 * Rejects with `not-found` and `ambiguous` for names, with `bad-request` for a folder in one.
 */
export async function selectSnapshots(repository: Repository, options: SelectOptions): Promise<SnapshotEntry[]> {
  const { ids = [] } = options;
  const found = new Map<Id, SnapshotEntry>();
  if (ids.length === 0) {
    for await (const snapshot of listSnapshots(repository, options)) found.set(snapshot.id, snapshot);
    return [...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }
  for (const spec of ids) {
    if (spec.includes(':')) throw new EngineError('bad-request', `a whole snapshot is wanted, not ${spec}`, { spec });
    const { snapshot } = await findSnapshot(repository, spec, options);
    found.set(snapshot.id, snapshot);
  }
  return [...found.values()];
}

/** Reads one snapshot by its full id. */
export async function loadSnapshot(repository: Repository, id: Id, call: Call = {}): Promise<SnapshotEntry> {
  return { ...decodeSnapshot(await repository.loadFile('snapshot', id, call)), id };
}

/**
 * Finds one snapshot.
 *
 * @param spec an id, the unique beginning of one, or `latest`, each with `:sub/folder` if wanted
 * @returns the snapshot and the subfolder without slashes at its ends, '' for the whole
 * Rejects with `not-found` or `ambiguous`.
 */
export async function findSnapshot(
  repository: Repository,
  spec: string,
  options: FindSnapshotOptions = {},
): Promise<{ snapshot: SnapshotEntry; subfolder: string }> {
  const colon = spec.indexOf(':');
  const name = colon < 0 ? spec : spec.slice(0, colon);
  const subfolder =
    colon < 0
      ? ''
      : spec
          .slice(colon + 1)
          .split('/')
          .filter((part) => part !== '' && part !== '.')
          .join('/');
  if (name !== 'latest') {
    const id = await resolveId(repository, name, options);
    return { snapshot: await loadSnapshot(repository, id, options), subfolder };
  }
  const snapshot = await findLatest(repository, options);
  if (snapshot === undefined) throw new EngineError('not-found', 'no snapshot found', { snapshot: spec });
  return { snapshot, subfolder };
}

/** The newest snapshot that passes the filter; of equally new ones the last listed. */
export async function findLatest(
  repository: Repository,
  options: FindSnapshotOptions = {},
): Promise<SnapshotEntry | undefined> {
  let latest: SnapshotEntry | undefined;
  for await (const snapshot of listSnapshots(repository, options)) {
    if (options.notAfter !== undefined && compareTimestamps(snapshot.time, options.notAfter) > 0) continue;
    if (latest === undefined || compareTimestamps(snapshot.time, latest.time) >= 0) latest = snapshot;
  }
  return latest;
}

async function resolveId(repository: Repository, prefix: string, call: Call): Promise<Id> {
  if (isId(prefix)) return prefix;
  const found: Id[] = [];
  for await (const { name } of repository.list('snapshot', { signal: call.signal })) {
    if (prefix !== '' && name.startsWith(prefix)) found.push(name);
  }
  const [id] = found;
  if (id === undefined) throw new EngineError('not-found', `no matching ID found for prefix "${prefix}"`, { prefix });
  if (found.length > 1) {
    throw new EngineError('ambiguous', `multiple IDs with prefix "${prefix}" found`, { prefix, found: found.length });
  }
  return id;
}

/** Does the snapshot pass the filter? */
export function matchesFilter(snapshot: Snapshot, filter: SnapshotFilter | undefined): boolean {
  if (filter === undefined) return true;
  const { hosts = [], tags = [], paths = [] } = filter;
  return (
    (hosts.length === 0 || hosts.includes(snapshot.hostname ?? '')) &&
    (tags.length === 0 || tags.some((list) => hasTags(snapshot, list))) &&
    paths.every((path) => snapshot.paths.includes(path))
  );
}

/** Does the snapshot have all these tags? A snapshot without tags has, as for restic, every list from `''` on. */
export function hasTags({ tags = [] }: Snapshot, wanted: readonly string[]): boolean {
  const checked = tags.length === 0 && wanted.includes('') ? wanted.slice(0, wanted.indexOf('')) : wanted;
  return checked.every((tag) => tags.includes(tag));
}
