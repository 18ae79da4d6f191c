import type { Backend } from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';
import type { HttpOptions } from '../http/options.ts';
import type { Environment } from '../scheme.ts';

/** A repository on a REST server, and how to reach it. */
export interface RestOptions {
  /**
   * `https://host:8000/path/`, with `user:password@` before the host or without (percent-encoded), or
   * `http+unix:///run/rest.sock:/path/`.
   */
  readonly url: string;
  /** For servers that ask for a name and a password. They count only where the URL has neither. */
  readonly username?: string;
  readonly password?: string;
  /** Files worth reading or writing at once. Default 5, as in restic. */
  readonly connections?: number;
  readonly http?: HttpOptions;
  /** A line that is shared with other backends, see {@link bandwidth}. */
  readonly bandwidth?: Bandwidth | undefined;
  /** Where proxies are named (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). Default: the environment of this process. */
  readonly env?: Environment;
}

/**
 * A repository on a server that speaks restic's REST protocol (restic documentation, "REST Backend"), version 2 or 1.
 * The server is not spoken to before a method is called. The caller disposes of the backend, which closes its
 * connections.
 *
 * Rejects with `bad-request` where the URL, a certificate or a proxy is wrong.
 */
export async function restBackend(options: RestOptions): Promise<Backend> {
  const { openRest } = await import('./backend.ts');
  return openRest(options);
}
