/** Changes of a whole repository, one at a time. */
import { decodeConfig, encodeConfig, EngineError, sha256 } from '@restic-engine/repo-format';
import type { Backend, Call, Config } from '@restic-engine/repo-format';
import { withLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import { checkLocked } from './check.ts';
import type { CheckProgress, CheckResult } from './check.ts';

/** The names of migrations. */
export type MigrationName = 'upgrade_repo_v2';

/** A migration, and why it cannot be applied to a repository, if so. */
export interface Migration {
  readonly name: MigrationName;
  readonly description: string;
  readonly refusal: string | undefined;
}

export interface MigrateOptions {
  /** Try although the migration cannot be applied. @default false */
  readonly force?: boolean | undefined;
  /**
   * Keeps a copy of the config file as it is stored. On stores that cannot replace a file in one step there is a moment
   * without a config, in which this copy is all there is. What it rejects with ends the migration before it begins.
   */
  readonly keepConfig: (bytes: Uint8Array) => Promise<void>;
  /** What the check before the migration has found; with errors, the migration rejects. */
  readonly onChecked?: ((result: CheckResult) => void) | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
}

export interface MigrateResult {
  /** What went wrong beside the migration, such as a lock that could not be removed. */
  readonly problems: readonly string[];
}

const CONFIG = { type: 'config', name: '' } as const;

/** The public function of this name is in upkeep.ts, and described there. */
export function listMigrations({ config }: Repository): readonly Migration[] {
  const refusal = config.version === 1 ? undefined : `repository is already upgraded to version ${config.version}`;
  return [{ name: 'upgrade_repo_v2', description: 'upgrade a repository to version 2', refusal }];
}

/** The public function of this name is in upkeep.ts, and described there. */
export async function migrate(
  repository: Repository,
  name: MigrationName,
  options: MigrateOptions,
): Promise<MigrateResult> {
  const { signal, retryLockMs: retryMs, force = false } = options;
  const migration = listMigrations(repository).find((each) => each.name === name);
  if (migration === undefined) throw new EngineError('bad-request', `unknown migration ${name}`, { migration: name });
  if (migration.refusal !== undefined && !force) {
    throw new EngineError('bad-request', `migration ${name} cannot be applied: ${migration.refusal}`);
  }
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (lock) =>
    upgrade(repository, { ...options, signal: lock.signal }),
  );
  return { problems };
}

/** Version 2 has the same files as version 1, and allows compression (restic design document, "Repository Format"). */
async function upgrade(repository: Repository, options: MigrateOptions): Promise<void> {
  const { signal, onProgress, onChecked, keepConfig } = options;
  const checked = await checkLocked(repository, { signal, onProgress });
  onChecked?.(checked);
  const failed = checked.errors.find(({ failure }) => failure !== undefined);
  if (failed?.failure !== undefined) throw new EngineError(failed.failure, failed.message);
  if (checked.errors.length > 0) {
    throw new EngineError('corrupt', 'repository contains errors', { errors: checked.errors.length });
  }
  const before = await repository.backend.load(CONFIG, undefined, { signal, fresh: true });
  const config = decodeConfig(repository.sealer.open(before));
  // Somebody may have been faster than the lock.
  if (config.version !== 1) {
    throw new EngineError(
      'bad-request',
      `repository has version ${config.version}, only upgrades from version 1 are supported`,
    );
  }
  await keepConfig(before);
  await replaceConfig(repository, before, { ...config, version: 2 }, { signal });
}

/** When the new config cannot be written, the old one comes back. */
async function replaceConfig(
  { backend, sealer }: Repository,
  before: Uint8Array,
  config: Config,
  { signal }: Call,
): Promise<void> {
  const sealed = sealer.seal(encodeConfig(config));
  // Without a config there is no repository: from here on nobody's impatience counts, and neither does a lost lock.
  const isReplaced = backend.traits.atomicReplace;
  const call = isReplaced ? { signal } : {};
  try {
    if (!isReplaced) await backend.remove(CONFIG, call);
    await backend.save(CONFIG, [sealed], call);
    if (!(await isStored(backend, sealed, call))) {
      throw new EngineError('corrupt', 'the config reads back differently');
    }
  } catch (error) {
    await restoreConfig({ backend }, before, error);
    throw error;
  }
}

async function restoreConfig(
  { backend }: Pick<Repository, 'backend'>,
  before: Uint8Array,
  reason: unknown,
): Promise<void> {
  try {
    // A store that refuses to remove the old one still has it.
    if (await isStored(backend, before)) return;
    if (!backend.traits.atomicReplace) await backend.remove(CONFIG);
    await backend.save(CONFIG, [before]);
  } catch (error) {
    const code = EngineError.is(reason) ? reason.code : 'io';
    const message = `the config could not be replaced, and the old one could not be put back: ${String(error)}`;
    throw new EngineError(code, message, {}, { cause: reason });
  }
}

async function isStored(backend: Backend, expected: Uint8Array, call: Call = {}): Promise<boolean> {
  try {
    const stored = await backend.load(CONFIG, undefined, { ...call, fresh: true });
    return sha256(stored) === sha256(expected);
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return false;
    throw error;
  }
}
