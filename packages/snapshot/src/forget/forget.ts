/** Removing snapshots, by name or by what a policy does not keep. Their data stays until it is pruned. */
import { EngineError } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { checkPruneOptions, pruneLocked, withLock } from '@restic-engine/repository';
import type { PruneOptions, PruneResult, Repository, RepositoryLock } from '@restic-engine/repository';
import { selectSnapshots } from '../find.ts';
import type { GroupBy, ListSnapshotsOptions, SnapshotEntry, SnapshotFilter } from '../find.ts';
import { groupSnapshots } from '../group.ts';
import type { GroupKey } from '../group.ts';
import { applyPolicy, isEmptyPolicy } from './policy.ts';
import type { KeepPolicy, PolicyResult } from './policy.ts';
import { removeSnapshots } from './remove.ts';
import type { SnapshotFailure } from './remove.ts';

/** How to prune afterwards. */
export type ForgetPruneOptions = Omit<
  PruneOptions,
  | 'dryRun'
  | 'ignoreSnapshots'
  | 'keepDeleteMs'
  | 'lock'
  | 'lockFree'
  | 'retryLockMs'
  | 'signal'
  | 'unsafeRecoverNoFreeSpace'
>;

interface ForgetCommonOptions {
  /** Which snapshots the policy, or `latest`, is about. */
  readonly filter?: SnapshotFilter | undefined;
  /** Takes snapshots that are damaged, which are left out then unless they are named. @default they reject */
  readonly onBroken?: ListSnapshotsOptions['onBroken'];
  /** Remove nothing. @default false */
  readonly dryRun?: boolean | undefined;
  /** Lock the repository; may be false for a dry run only. @default true */
  readonly lock?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  /**
   * Prune under the same lock, if snapshots were removed and none that should have been is left; a dry run makes the
   * plan. @default do not
   */
  readonly prune?: ForgetPruneOptions | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Snapshots are removed, and pruning is next. */
  readonly onForgotten?: ((result: ForgetResult) => void) | undefined;
}

export interface ForgetByIdOptions extends ForgetCommonOptions {
  /** Ids, unique beginnings of ids, or `latest`: these go, whatever a policy would say. */
  readonly ids: readonly string[];
  readonly policy?: undefined;
}

export interface ForgetByPolicyOptions extends ForgetCommonOptions {
  readonly ids?: undefined;
  /** What to keep. It is applied to each group by itself. */
  readonly policy: KeepPolicy;
  /** @default host and paths */
  readonly groupBy?: readonly GroupBy[] | undefined;
  /** Lets an empty policy remove all that pass the filter, which must not be empty then. @default false */
  readonly unsafeAllowRemoveAll?: boolean | undefined;
}

export type ForgetOptions = ForgetByIdOptions | ForgetByPolicyOptions;

/** What a policy makes of snapshots that belong together. */
export interface ForgetGroup extends PolicyResult<SnapshotEntry> {
  readonly key: GroupKey;
}

export interface ForgetResult {
  /** Empty when snapshots were named. */
  readonly groups: readonly ForgetGroup[];
  /** What is gone; of a dry run, what would be. */
  readonly removed: readonly Id[];
  /** What should be gone and is not. */
  readonly failed: readonly SnapshotFailure[];
  /** What else went wrong, for people. */
  readonly problems: readonly string[];
  /** What pruning did, where that was asked for and there was a reason. */
  readonly pruned?: PruneResult | undefined;
}

/**
 * Removes snapshots under an exclusive lock, and with `prune` what only they needed. A snapshot that cannot be removed
 * is in `failed`; the others go.
 *
 * Rejects with `bad-request` for an empty policy (see `unsafeAllowRemoveAll`) and for one that would leave nothing of a
 * group — then nothing at all is removed — and with `locked`, `not-found`, `ambiguous`, `aborted`, and `corrupt` if a
 * snapshot cannot be read. When pruning rejects (see `prune`), the snapshots are gone: `onForgotten` has told which.
 *
 * @example
 * ```ts
 * const { removed } = await forget(repository, { policy: { last: 3, daily: 14, monthly: 'unlimited' } });
 * ```
 */
export async function forget(repository: Repository, options: ForgetOptions): Promise<ForgetResult> {
  checkOptions(options);
  const { signal, retryLockMs: retryMs } = options;
  if (options.prune !== undefined) await checkPruneOptions(repository, options.prune);
  if (options.lock === false) return forgetAndPrune(repository, options, undefined);
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (lock) =>
    forgetAndPrune(repository, options, lock),
  );
  return { ...result, problems: [...result.problems, ...problems] };
}

async function forgetAndPrune(
  repository: Repository,
  options: ForgetOptions,
  lock: RepositoryLock | undefined,
): Promise<ForgetResult> {
  const signal = lock?.signal ?? options.signal ?? new AbortController().signal;
  const result = await forgetLocked(repository, options, signal);
  options.onForgotten?.(result);
  const { removed, failed } = result;
  if (options.prune === undefined || removed.length === 0 || failed.length > 0) return result;
  const { dryRun = false } = options;
  const ignoreSnapshots = dryRun ? removed : undefined;
  const pruned = await pruneLocked(repository, { ...options.prune, dryRun, ignoreSnapshots, signal }, lock);
  return { ...result, pruned };
}

function checkOptions(options: ForgetOptions): void {
  if (options.lock === false && !options.dryRun) {
    throw new EngineError('bad-request', 'snapshots cannot be removed without a lock');
  }
  if (options.policy === undefined || !isEmptyPolicy(options.policy)) return;
  if (!options.unsafeAllowRemoveAll) {
    throw new EngineError('bad-request', 'no policy was specified, no snapshots will be removed');
  }
  const { hosts = [], tags = [], paths = [] } = options.filter ?? {};
  if (hosts.length + tags.length + paths.length === 0) {
    throw new EngineError('bad-request', 'removing all snapshots is not allowed unless a snapshot filter is specified');
  }
}

async function forgetLocked(
  repository: Repository,
  options: ForgetOptions,
  signal: AbortSignal,
): Promise<ForgetResult> {
  const { ids, filter, onBroken, dryRun = false } = options;
  // An empty list of names means no snapshots here, and all of them to a selection.
  const isNone = ids !== undefined && ids.length === 0;
  const snapshots = isNone ? [] : await selectSnapshots(repository, { ids, filter, onBroken, signal });
  const groups = options.policy === undefined ? [] : planGroups(repository, snapshots, options);
  const doomed = options.policy === undefined ? snapshots : groups.flatMap((group) => group.remove);
  const doomedIds = doomed.map(({ id }) => id);
  if (dryRun) return { groups, removed: doomedIds, failed: [], problems: [] };
  return { groups, problems: [], ...(await removeSnapshots(repository, doomedIds, signal)) };
}

function planGroups(
  repository: Repository,
  snapshots: readonly SnapshotEntry[],
  { policy, groupBy = ['host', 'paths'] }: ForgetByPolicyOptions,
): ForgetGroup[] {
  const isEmpty = isEmptyPolicy(policy);
  return groupSnapshots(snapshots, groupBy).map(({ key, snapshots: members }) => {
    const result = applyPolicy(members, policy, repository.platform);
    if (result.keep.length > 0 || isEmpty) return { key, ...result };
    throw new EngineError('bad-request', `refusing to delete last snapshot of snapshot group "${describe(key)}"`);
  });
}

/** `host vm, path [/srv], tags [a b]` */
function describe({ hostname, paths, tags }: GroupKey): string {
  return [
    ...(hostname === '' ? [] : [`host ${hostname}`]),
    ...(paths === null || paths.length === 0 ? [] : [`path [${paths.join(' ')}]`]),
    ...(tags === null ? [] : [`tags [${tags.join(' ')}]`]),
  ].join(', ');
}
