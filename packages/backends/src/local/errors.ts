/** System errors of a local folder as errors of the engine. */
import { getSystemErrorMap } from 'node:util';
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';

/** errno name → code; every other system error is `io`. */
const SYSTEM = new Map<string, Code>([
  ['ENOENT', 'not-found'],
  ['ENOTDIR', 'not-found'],
  ['EEXIST', 'already-exists'],
  ['EACCES', 'denied'],
  ['EPERM', 'denied'],
  ['EROFS', 'denied'],
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
]);

/** The errno name of a system error such as `ENOENT`; undefined for every other value. */
export function errno(error: unknown): string | undefined {
  const systemError = error instanceof Error && 'syscall' in error && 'code' in error;
  return systemError && typeof error.code === 'string' ? error.code : undefined;
}

/** Runs `work` on `path` (relative to the repository); system errors reject as `EngineError`, others unchanged. */
export async function onFile<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const system = errno(error);
    if (system === undefined) throw error;
    const code = SYSTEM.get(system) ?? 'io';
    const message = `${operation} ${path}: ${system}${inWords(error)}`;
    throw new EngineError(code, message, { operation, file: path, system }, { cause: error });
  }
}

/** What the name of an error stands for, for people who do not know the names. */
function inWords(error: unknown): string {
  const number = error instanceof Error && 'errno' in error ? Number(error.errno) : 0;
  const [, words] = getSystemErrorMap().get(number) ?? [];
  return words === undefined ? '' : ` (${words})`;
}

/** Waits for `work` and accepts the system errors named in `accepted`. */
export async function tolerate(work: Promise<unknown>, accepted: ReadonlySet<string>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const system = errno(error);
    if (system === undefined || !accepted.has(system)) throw error;
  }
}
