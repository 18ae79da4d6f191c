/** What a server refuses, as errors of the engine. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';
import { STATUS } from './protocol/packet.ts';
import { StatusError } from './protocol/status.ts';

/** status → code; every other one is `io`. */
const CODE_OF = new Map<number, Code>([
  [STATUS.EOF, 'out-of-range'],
  [STATUS.NO_SUCH_FILE, 'not-found'],
  [STATUS.PERMISSION_DENIED, 'denied'],
  [STATUS.OP_UNSUPPORTED, 'unsupported'],
  [STATUS.FILE_ALREADY_EXISTS, 'already-exists'],
  [STATUS.WRITE_PROTECT, 'denied'],
  [STATUS.NO_SPACE, 'no-space'],
  [STATUS.QUOTA_EXCEEDED, 'no-space'],
]);

/** Runs `work` on `path` (relative to the repository); a refusal rejects as `EngineError`, other errors unchanged. */
export async function onFile<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const code = CODE_OF.get(error.status) ?? 'io';
    const context = { operation, file: path, status: error.status };
    throw new EngineError(code, `${operation} ${path}: ${error.message}`, context, { cause: error });
  }
}
