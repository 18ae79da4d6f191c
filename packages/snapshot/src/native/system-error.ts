/** Errors of the operating system as errors of the engine. */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { type Code, EngineError } from '@restic-engine/repo-format';

const CODES_BY_NAME: Readonly<Record<string, Code>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  EEXIST: 'already-exists',
  EPERM: 'denied',
  EACCES: 'denied',
  EROFS: 'denied',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  ENOSYS: 'unsupported',
  ENOTSUP: 'unsupported',
  EOPNOTSUPP: 'unsupported',
};

/** The error of a system call on `path`; `errno` is the positive number. Its context holds `path`, `call` and the name as `errno`. */
export function systemError(call: string, path: string, errno: number): EngineError {
  return build(call, path, getSystemErrorName(-errno), getSystemErrorMessage(-errno));
}

/** The same from what `node:fs` throws; other errors become `io` with the error as cause. */
export function fromNodeError(error: unknown, path: string): EngineError {
  if (EngineError.is(error)) return error;
  const name = errorName(error);
  const call = error instanceof Error && 'syscall' in error ? String(error.syscall) : 'system call';
  const text = error instanceof Error ? error.message : String(error);
  return build(call, path, name ?? '', text, { cause: error });
}

/** `ENOENT` and the like, if `error` comes from a system call. */
export function errorName(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function build(call: string, path: string, errno: string, text: string, options?: ErrorOptions): EngineError {
  const shown = path.toWellFormed();
  const message = text.includes(shown) ? text : `${call} ${shown}: ${text}`;
  return new EngineError(CODES_BY_NAME[errno] ?? 'io', message, { path, call, errno }, options);
}
