import { belowFolder, connectionsOption } from '../scheme.ts';
import type { Scheme } from '../scheme.ts';
import { restBackend } from './open.ts';

/** `rest:https://user:password@host:8000/path/`. */
export const REST_SCHEME: Scheme = {
  example: 'rest:https://user:password@host:8000/path/',
  options: [{ name: 'connections', description: 'files to read or write at once (default: 5)' }],
  open: (rest, { options, env, http, bandwidth }) => {
    const { RESTIC_REST_USERNAME: username, RESTIC_REST_PASSWORD: password } = env;
    return restBackend({
      url: rest,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      connections: connectionsOption(options, 'rest', 5),
      http,
      bandwidth,
      env,
    });
  },
  // What has no second colon is all socket, and no path.
  below: (rest, name) => belowFolder(/^http\+unix:[^:]*$/i.test(rest) ? `${rest}:` : rest, name),
};
