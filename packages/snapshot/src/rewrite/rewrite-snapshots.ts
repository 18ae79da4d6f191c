/** Makes snapshots anew with less in them or other facts. */
import { encodeSnapshot, EngineError } from '@restic-engine/repo-format';
import type { Code, Id, Snapshot, Timestamp } from '@restic-engine/repo-format';
import { inParallel, returnNeeded, withLock, withUpload } from '@restic-engine/repository';
import type { Repository, Upload } from '@restic-engine/repository';
import { asTimestamp } from '../backup/as-timestamp.ts';
import { snapshotsByOrigin } from '../copy/same-snapshot.ts';
import { selectSnapshots } from '../find.ts';
import type { ListSnapshotsOptions, SnapshotEntry, SnapshotFilter } from '../find.ts';
import type { SnapshotFailure } from '../forget/remove.ts';
import { compileSelector } from '../restore/select.ts';
import type { SelectorOptions } from '../restore/select.ts';
import { TreeRewriter } from './rewrite-tree.ts';
import type { Choice, RewrittenItem, RewrittenTree } from './rewrite-tree.ts';
import { countInto } from './summary.ts';

/** A snapshot that is made anew. */
export interface RewrittenSnapshot {
  readonly before: Id;
  /** Undefined in a dry run. */
  readonly after: Id | undefined;
}

/** What has become of a snapshot so far. */
export type RewriteEvent =
  | { readonly kind: 'started' | 'unchanged' | 'removed' | 'to-remove'; readonly snapshot: SnapshotEntry }
  /** A new one is stored, or would be in a dry run; `next` is what it says, and `id` is undefined in a dry run. */
  | { readonly kind: 'saved'; readonly snapshot: SnapshotEntry; readonly next: Snapshot; readonly id: Id | undefined };

/** Patterns are as for a restore: paths in the snapshot start with `/`; including excludes excluding. */
export interface RewriteOptions extends SelectorOptions {
  /** Ids, unique beginnings of ids, or `latest`. @default all that pass the filter */
  readonly ids?: readonly string[] | undefined;
  readonly filter?: SnapshotFilter | undefined;
  /** Takes snapshots that are damaged, which are left out then unless they are named. @default they reject */
  readonly onBroken?: ListSnapshotsOptions['onBroken'];
  readonly newHost?: string | undefined;
  /** A date in the zone of the platform, a text as it is. */
  readonly newTime?: Date | Timestamp | undefined;
  /** Count files and bytes into the summary, which patterns do anyway. @default false */
  readonly snapshotSummary?: boolean | undefined;
  /** Remove the old snapshots. @default false */
  readonly forget?: boolean | undefined;
  /** Change nothing, and lock nothing. @default false */
  readonly dryRun?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onSnapshot?: ((event: RewriteEvent) => void) | undefined;
  readonly onItem?: ((item: RewrittenItem) => void) | undefined;
}

export interface RewriteResult {
  readonly changed: readonly RewrittenSnapshot[];
  /** What could not be changed, or could not be removed once the new one was there. */
  readonly failed: readonly SnapshotFailure[];
  /** What else went wrong, for people. */
  readonly problems: readonly string[];
}

/** The public function is `rewrite`, and described there. */
export async function rewriteSnapshots(repository: Repository, options: RewriteOptions): Promise<RewriteResult> {
  const plan = planOf(repository, options);
  const { dryRun = false, forget: exclusive = false, retryLockMs: retryMs, signal } = options;
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = dryRun
    ? await rewriteLocked(repository, plan, options)
    : await withLock(repository, { exclusive, retryMs, signal, onLeft }, (lock) =>
        rewriteLocked(repository, plan, { ...options, signal: lock.signal }),
      );
  return { ...result, problems };
}

/** What is to change. */
interface Plan {
  /** Undefined where trees stay and nobody asks what is in them. */
  readonly choice: Choice | undefined;
  readonly hostname: string | undefined;
  readonly time: Timestamp | undefined;
  readonly tag: string | undefined;
}

function planOf(repository: Repository, options: RewriteOptions): Plan {
  const { newHost, newTime, snapshotSummary = false, forget = false, onItem } = options;
  const selector = compileSelector(options);
  const plan = {
    choice: selector.all && !snapshotSummary ? undefined : { selector, isByName: isByName(options), onItem },
    hostname: newHost === '' ? undefined : newHost,
    time: newTime === undefined ? undefined : asTimestamp(newTime, repository.platform),
    tag: forget ? undefined : 'rewrite',
  };
  if (plan.choice === undefined && plan.hostname === undefined && plan.time === undefined) {
    throw new EngineError('bad-request', 'nothing to do: no patterns, no new host or time, and no summary is wanted');
  }
  return plan;
}

function isByName({ include = [], iinclude = [] }: SelectorOptions): boolean {
  return [...include, ...iinclude].some((pattern) => pattern !== '');
}

/** A snapshot that is not what it should be. */
interface Change {
  readonly snapshot: SnapshotEntry;
  readonly next: Snapshot;
}

async function rewriteLocked(
  repository: Repository,
  plan: Plan,
  options: RewriteOptions,
): Promise<Omit<RewriteResult, 'problems'>> {
  const { ids, filter, onBroken, signal, dryRun = false } = options;
  const snapshots = await selectSnapshots(repository, { ids, filter, onBroken, signal });
  const job: Job = { repository, plan, options, failed: [], changed: [], present: undefined };
  if (plan.choice === undefined) {
    const changes = snapshots.flatMap((snapshot) => {
      options.onSnapshot?.({ kind: 'started', snapshot });
      return changeOf(job, snapshot, undefined);
    });
    await carryOut(job, changes);
    return { changed: job.changed, failed: job.failed };
  }
  const indexed = await repository.loadIndex({ signal });
  const rewriter = new TreeRewriter(indexed, plan.choice);
  const queue = snapshots.values();
  const roots: Id[] = [];
  for (let left = snapshots.length; left > 0; ) {
    const changes = await withUpload(indexed, { signal, dryRun }, async (upload) => {
      const found: Change[] = [];
      // Each upload ends with packs that are not full, so it goes on until there would have been a full one.
      while (left > 0 && upload.totals.stored < repository.packSize) {
        const { value: snapshot } = queue.next();
        left -= 1;
        if (snapshot !== undefined) found.push(...(await rewriteOne(job, snapshot, rewriter, upload)));
      }
      return found;
    });
    await carryOut(job, changes);
    for (const { next } of changes) roots.push(next.tree);
  }
  if (!dryRun) await returnNeeded(indexed, roots, { signal });
  return { changed: job.changed, failed: job.failed };
}

interface Job {
  readonly repository: Repository;
  readonly plan: Plan;
  readonly options: RewriteOptions;
  readonly changed: RewrittenSnapshot[];
  readonly failed: SnapshotFailure[];
  /** The snapshots there are by what they came from, once somebody had to know. */
  present: Map<Id, SnapshotEntry[]> | undefined;
}

/** What is wrong with a snapshot itself; the others may be sound. */
const OWN_FAULTS: ReadonlySet<Code> = new Set<Code>([
  'corrupt',
  'not-found',
  'unsupported',
  'too-large',
  'bad-request',
]);

async function rewriteOne(
  job: Job,
  snapshot: SnapshotEntry,
  rewriter: TreeRewriter,
  upload: Upload,
): Promise<Change[]> {
  job.options.onSnapshot?.({ kind: 'started', snapshot });
  try {
    return changeOf(job, snapshot, await rewriter.rewrite(snapshot.tree, upload));
  } catch (error) {
    if (!EngineError.is(error) || !OWN_FAULTS.has(error.code)) throw error;
    job.failed.push({ id: snapshot.id, error });
    return [];
  }
}

/** The change, or nothing where everything is as it should be. */
function changeOf({ plan, options }: Job, snapshot: SnapshotEntry, rewritten: RewrittenTree | undefined): Change[] {
  const { id, ...present } = snapshot;
  const { hostname = present.hostname, time = present.time } = plan;
  const tree = rewritten === undefined ? present.tree : rewritten.tree;
  // A snapshot of nothing is of no use: nothing in it was meant.
  const summary = rewritten === undefined ? present.summary : countInto(present.summary, rewritten);
  const isSame =
    tree === undefined ||
    (tree === present.tree && summary === present.summary && hostname === present.hostname && time === present.time);
  if (isSame) {
    options.onSnapshot?.({ kind: 'unchanged', snapshot });
    return [];
  }
  return [{ snapshot, next: { ...present, hostname, time, tree, summary, original: id, tags: tagsOf(present, plan) } }];
}

function tagsOf({ tags = [] }: Snapshot, { tag }: Plan): readonly string[] {
  return tag === undefined || tags.includes(tag) ? tags : [...tags, tag];
}

/** Stores what is new, unless an earlier run did, and removes what is old. What new snapshots need is durable. */
async function carryOut(job: Job, changes: readonly Change[]): Promise<void> {
  const { repository, options } = job;
  const { signal, dryRun = false, forget = false, onSnapshot } = options;
  if (changes.length === 0) return;
  if (dryRun) {
    for (const { snapshot, next } of changes) {
      job.changed.push({ before: snapshot.id, after: undefined });
      onSnapshot?.({ kind: 'saved', snapshot, next, id: undefined });
      if (forget) onSnapshot?.({ kind: 'to-remove', snapshot });
    }
    return;
  }
  job.present ??= await snapshotsByOrigin(repository, { signal });
  const { present } = job;
  const places = repository.backend.traits.connections;
  await inParallel(changes, { places, signal }, async (change) => {
    const { id } = change.snapshot;
    try {
      await replace(job, change, present.get(id) ?? []);
    } catch (error) {
      if (!EngineError.is(error) || error.code === 'aborted') throw error;
      job.failed.push({ id, error });
    }
  });
}

/** @param relatives the snapshots that came from the same one */
async function replace(
  { repository, options, changed }: Job,
  { snapshot, next }: Change,
  relatives: readonly SnapshotEntry[],
): Promise<void> {
  const { signal, forget = false, onSnapshot } = options;
  const content = encodeSnapshot(next);
  const known = relatives.find((relative) => Buffer.compare(encodeSnapshot(relative), content) === 0);
  if (known !== undefined && !forget) {
    onSnapshot?.({ kind: 'unchanged', snapshot });
    return;
  }
  const id = known?.id ?? (await repository.saveFile('snapshot', content, { signal }));
  onSnapshot?.({ kind: 'saved', snapshot, next, id });
  changed.push({ before: snapshot.id, after: id });
  if (!forget) return;
  await repository.removeFile('snapshot', snapshot.id, { signal });
  onSnapshot?.({ kind: 'removed', snapshot });
}
