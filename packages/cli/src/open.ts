/** Opening what the global flags name. */
import type { Backend, IndexedRepository, Repository, RepositoryCache, RetryOptions } from 'restic-engine';
import { lookAtOldCaches, openCache } from './cache.ts';
import type { CacheKind } from './cache.ts';
import type { Context } from './context.ts';
import { Fatal } from './failure.ts';
import { repositoryLocation } from './globals.ts';
import type { RepositorySources } from './globals.ts';
import { askOnTerminal, canAsk, readPasswordLine, refuseEmpty, resolvePassword } from './password.ts';
import type { Password, PasswordSources } from './password.ts';
import { createPhaseReport } from './render/phases.ts';
import { httpOptions } from './transport.ts';

/** As often as restic asks for a password. */
const ATTEMPTS = 3;

export type Engine = typeof import('restic-engine');

/** The place of a repository; calls that fail for a passing reason are repeated. The caller disposes of it. */
export async function openPlace(
  context: Context,
  engine: Engine,
  sources: RepositorySources,
  limits: Pick<RetryOptions, 'attempts'> = {},
): Promise<Backend> {
  const { ui } = context;
  const place = await openPlaceOnce(context, engine, sources);
  const retry = engine.withRetry({
    ...limits,
    onRetry: ({ operation, delayMs, error }) => {
      const seconds = (delayMs / 1000).toFixed(1);
      if (ui.verbosity > 0) ui.warn(`${operation} returned error, retrying after ${seconds}s: ${error.message}`);
    },
  });
  return engine.wrap(place, retry);
}

/** Like {@link openPlace}, without repeating anything: for clients who do that themselves. */
export async function openPlaceOnce(context: Context, engine: Engine, sources: RepositorySources): Promise<Backend> {
  const { env, globals } = context;
  const { options, uploadLimit, downloadLimit } = globals.transport;
  const rates = { ...(uploadLimit && { upload: uploadLimit }), ...(downloadLimit && { download: downloadLimit }) };
  context.line ??= uploadLimit || downloadLimit ? engine.bandwidth(rates) : undefined;
  const place = await engine.openBackend(await repositoryLocation(sources), {
    options,
    env,
    http: await httpOptions(globals.transport),
    ...(context.line && { bandwidth: context.line }),
  });
  context.location = place.location;
  return engine.wrap(place, engine.withObserve(), engine.withLimit());
}

/** Opens the repository of the global flags, does the work, and closes everything. */
export async function withRepository<T>(
  context: Context,
  work: (repository: Repository, engine: Engine) => Promise<T>,
  cacheKind?: CacheKind,
): Promise<T> {
  const { globals } = context;
  const engine = await import('restic-engine');
  await using backend = await openPlace(context, engine, globals.repository);
  await using forRun = await openCache(context, engine, backend, cacheKind);
  const open: Opening = { backend, cache: forRun.cache, sources: globals.password, keyHint: globals.keyHint };
  await using repository = await openWithPassword(context, engine, open);
  if (context.ui.terminal) {
    const { id, version } = repository.config;
    const level = version === 1 ? '' : `, compression level ${globals.compression ?? 'auto'}`;
    context.ui.say(`repository ${id.slice(0, 8)} opened (version ${version}${level})`);
  }
  await lookAtOldCaches(context, engine, forRun.cache && repository.config.id);
  return await work(repository, engine);
}

/** Like {@link withRepository}, under a lock that keeps the repository's files where they are; none with --no-lock. */
export async function withLockedRepository<T>(
  context: Context,
  work: (repository: Repository, engine: Engine, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { globals, signal } = context;
  return withRepository(context, async (repository, engine) => {
    if (!globals.lock) return work(repository, engine, signal);
    await using lock = await repository.lock({ retryMs: globals.retryLockMs, signal });
    return await work(repository, engine, lock.signal);
  });
}

/** The index, which may take its time: a person sees how far it is. */
export async function loadIndex(
  { ui }: Context,
  repository: Repository,
  signal: AbortSignal,
): Promise<IndexedRepository> {
  if (!ui.terminal) return repository.loadIndex({ signal });
  using report = createPhaseReport(ui, { index: { counts: 'index files loaded' } });
  return await repository.loadIndex({
    signal,
    onProgress: ({ filesDone, filesTotal }) =>
      report.onProgress({ phase: 'index', done: filesDone, total: filesTotal }),
  });
}

/** What a repository is opened with. */
export interface Opening {
  readonly backend: Backend;
  readonly cache?: RepositoryCache | undefined;
  readonly sources: PasswordSources;
  readonly keyHint: string | undefined;
  /** What a person who is asked for the password is told. @default 'repository' */
  readonly title?: string;
  /** The flag that allows an empty password. @default '--insecure-no-password' */
  readonly emptyFlag?: string;
}

/** Opens a repository; a person who mistypes the password may try again. */
export async function openWithPassword(
  context: Context,
  engine: Engine,
  { backend, cache, sources, keyHint, title = 'repository', emptyFlag = '--insecure-no-password' }: Opening,
): Promise<Repository> {
  const { globals, signal, ui } = context;
  const { compression, packSize, verifyWrites } = globals;
  const open = (password: Password): Promise<Repository> =>
    engine.openRepository({ backend, cache, password, keyHint, compression, packSize, verifyWrites, signal });
  const known = await resolvePassword(sources, { signal, emptyFlag });
  if (known !== undefined) return open(known);
  if (context.stdinIsData) throw new Fatal('cannot read both password and data from stdin');
  if (!canAsk()) return open(refuseEmpty(await readPasswordLine(), emptyFlag));
  for (let attempt = 1; ; attempt++) {
    const password = refuseEmpty(await askOnTerminal(`enter password for ${title}`, signal), emptyFlag);
    try {
      return await open(password);
    } catch (error) {
      if (!engine.EngineError.is(error, 'wrong-password') || attempt === ATTEMPTS) throw error;
      ui.warn(`${error.message}. Try again`);
    }
  }
}

/** A password for a key that does not exist yet: from its sources, or asked for twice. */
export async function newPassword(context: Context, sources: PasswordSources, emptyFlag: string): Promise<Password> {
  const { signal } = context;
  const known = await resolvePassword(sources, { signal, emptyFlag });
  if (known !== undefined) return known;
  if (!canAsk()) return refuseEmpty(await readPasswordLine(), emptyFlag);
  const first = await askOnTerminal('enter new password', signal);
  const second = await askOnTerminal('enter password again', signal);
  if (first !== second) throw new Fatal('passwords do not match');
  return refuseEmpty(first, emptyFlag);
}
