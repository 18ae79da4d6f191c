/** Working with the repository of a backup server. */
import { EngineError } from 'restic-engine';
import type { Backend, Repository, RetryOptions } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import type { BackupServer } from './connection.ts';

export interface ServerRepositoryOptions extends ClusterCall {
  /** Make the repository where there is certainly none. */
  readonly create: boolean;
  /** How often and how long calls that failed are repeated, and who is told. */
  readonly retry?: RetryOptions | undefined;
}

/**
 * Opens the repository of a server for the time of `use`. Rejects with what opening says (`no-repository`,
 * `wrong-password`, `unauthorized`, `untrusted`, `io`…) and what `use` rejects with.
 */
export async function withServerRepository<T>(
  server: BackupServer,
  options: ServerRepositoryOptions,
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const { withLimit, withObserve, withRetry, wrap } = await import('restic-engine');
  const place = await server.open({ signal: options.signal });
  const backend = wrap(place, withObserve(), withLimit(), withRetry(options.retry));
  try {
    const repository = await openOrCreate(backend, server.password, options);
    try {
      return await use(repository);
    } finally {
      await repository[Symbol.asyncDispose]();
    }
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

async function openOrCreate(
  backend: Backend,
  password: string,
  { create, signal }: ServerRepositoryOptions,
): Promise<Repository> {
  const { initRepository, openRepository } = await import('restic-engine');
  try {
    return await openRepository({ backend, password, signal });
  } catch (error) {
    // Any other failure may come from a repository that is there and cannot be seen.
    if (!create || !EngineError.is(error, 'no-repository')) throw error;
  }
  try {
    await initRepository({ backend, password, signal });
  } catch (error) {
    // Somebody else has made it meanwhile.
    if (!EngineError.is(error, 'already-exists')) throw error;
  }
  return openRepository({ backend, password, signal });
}
