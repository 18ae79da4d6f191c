/** Making a repository with a chunker polynomial of its own. */
import { EngineError } from '@restic-engine/repo-format';
import { createRepository } from '@restic-engine/repository';
import type { InitOptions as CreateOptions, InitResult } from '@restic-engine/repository';

/** How a new repository is made: a backend and a password suffice. */
export interface InitOptions extends Omit<CreateOptions, 'chunkerPolynomial'> {
  /**
   * Hex digits, as in a config. Repositories with the same one cut files alike, so that copies between them
   * deduplicate. @default a new one by chance
   */
  readonly chunkerPolynomial?: string | undefined;
}

/**
 * Makes a repository: folders, a key for the password, and the config last.
 * Rejects with `already-exists`, and `bad-request` for a polynomial that is not irreducible of degree 53.
 *
 * @example
 * ```ts
 * await initRepository({ backend: localBackend('/srv/backups'), password: 'correct horse' });
 * ```
 */
export async function initRepository(options: InitOptions): Promise<InitResult> {
  const { isUsablePolynomial, randomPolynomial } = await import('./polynomial.ts');
  const { chunkerPolynomial = randomPolynomial() } = options;
  if (!isUsablePolynomial(chunkerPolynomial)) {
    throw new EngineError('bad-request', 'not a polynomial that files can be cut with', { chunkerPolynomial });
  }
  return createRepository({ ...options, chunkerPolynomial });
}
