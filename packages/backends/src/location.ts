import { EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import { localBackend } from './local/backend.ts';

/** Makes the backend of one scheme from what follows the colon. Loads the client it needs itself, and lazily. */
type Opener = (rest: string) => Promise<Backend>;

/** scheme → opener; a backend that can be named by a location has its line here. */
const SCHEMES = new Map<string, Opener>([['local', async (path) => localBackend(path)]]);

/** What restic understands beside those. */
const RESTIC_SCHEMES: ReadonlySet<string> = new Set(['azure', 'b2', 'gs', 'rclone', 'rest', 's3', 'sftp', 'swift']);

/** `/x`, `./x`, `../x`, and on any system the Windows forms `C:\x`, `C:/x`, `.\x`, `..\x`. */
const PATH = /^(?:\.{0,2}[/\\]|[a-z]:[/\\])/i;

/**
 * The backend of a location as restic writes them: a path, or `local:path`. Nothing is read or made yet.
 *
 * Rejects with `unsupported` for a scheme there is no backend for, and with `bad-request` for an empty location.
 */
export async function openBackend(location: string): Promise<Backend> {
  const colon = location.indexOf(':');
  const scheme = location.slice(0, Math.max(colon, 0));
  const opener = SCHEMES.get(scheme);
  const rest = opener === undefined ? location : location.slice(colon + 1);
  if (rest === '') throw new EngineError('bad-request', 'the location of the repository is empty');
  if (opener !== undefined) return opener(rest);
  if (colon < 0 || PATH.test(location)) return localBackend(location);
  // Only the scheme is told: what follows may hold a password.
  if (RESTIC_SCHEMES.has(scheme)) {
    throw new EngineError('unsupported', `there is no backend for ${scheme}: locations yet`, { scheme });
  }
  const known = [...SCHEMES.keys()].map((name) => `${name}:`).join(', ');
  throw new EngineError(
    'unsupported',
    `unknown kind of location (known: ${known}); put local: before the path of a folder that has a colon in its name`,
    { known },
  );
}
