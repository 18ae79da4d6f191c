/** Errors met below the target, told with the paths people know. */
import { EngineError } from '@restic-engine/repo-format';
import { errorName, fromNodeError } from '../../native/system-error.ts';

const DESCRIPTOR_PATHS = /\/proc\/self\/fd\/\d+(?:\/[^']*)?/g;

/**
 * What failed at `path` of the snapshot, as an error of the engine: `denied` also where a link stands in the way,
 * `too-large` for a path the system does not take.
 */
export function sinkError(error: unknown, path: string): EngineError {
  const name = errorName(error);
  const shown = path.toWellFormed();
  if (name === 'ELOOP' || name === 'ENOTDIR') {
    const message = `${shown}: something that is not a directory stands in the way and is not followed`;
    return new EngineError('denied', message, { path: shown, errno: name }, { cause: error });
  }
  const known = fromNodeError(error, path);
  const code = name === 'ENAMETOOLONG' ? 'too-large' : known.code;
  const message = known.message.replace(DESCRIPTOR_PATHS, () => shown);
  return new EngineError(code, message, { ...known.context, path: shown }, { cause: known.cause });
}
