/** Failures as programs for file systems know them. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';

/** The codes of Node that occur here. */
export type Errno = 'ENOENT' | 'ENOTDIR' | 'EISDIR' | 'EINVAL' | 'ELOOP' | 'EBADF' | 'EROFS';

const ERRORS: Readonly<Record<Errno, { readonly code: Code; readonly text: string }>> = {
  ENOENT: { code: 'not-found', text: 'no such file or directory' },
  ENOTDIR: { code: 'not-found', text: 'not a directory' },
  EISDIR: { code: 'bad-request', text: 'illegal operation on a directory' },
  EINVAL: { code: 'bad-request', text: 'invalid argument' },
  ELOOP: { code: 'bad-request', text: 'too many symbolic links encountered' },
  EBADF: { code: 'bad-request', text: 'bad file descriptor' },
  EROFS: { code: 'denied', text: 'read-only file system' },
};

/** The error that Node has as `errno`, which is in the context; its code is one of ours. */
export function fsError(errno: Errno, syscall: string, path: string): EngineError {
  const { code, text } = ERRORS[errno];
  const shown = path.toWellFormed();
  return new EngineError(code, `${errno}: ${text}, ${syscall} '${shown}'`, { errno, syscall, path: shown });
}
