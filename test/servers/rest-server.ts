/** restic's own REST server. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import type { Server } from './server.ts';

const USER = 'tester';
const PASSWORD = 'se:cr&t/päss';

/** `flags` of the server: `--append-only` for one. Every user has the same password. */
export async function startRestServer(peer: Peer, { flags = [] }: { flags?: readonly string[] } = {}): Promise<Server> {
  const folder = makeTempDir();
  const htpasswd = join(folder.path, '.htpasswd');
  writeFileSync(htpasswd, `${USER}:{SHA}${createHash('sha1').update(PASSWORD).digest('base64')}\n`);
  const start = (port: number) =>
    startDaemon({
      command: peer.path,
      args: [
        '--path',
        join(folder.path, 'data'),
        '--listen',
        `127.0.0.1:${port}`,
        '--htpasswd-file',
        htpasswd,
        ...flags,
      ],
      ready: /start server on 127\.0\.0\.1:(\d+)/,
    });
  let daemon = await start(0);
  const { port } = daemon;
  return {
    port,
    async place(name, { port: through = port } = {}) {
      const password = encodeURIComponent(PASSWORD);
      return {
        location: `rest:http://${USER}:${password}@127.0.0.1:${through}/${name}/`,
        env: {},
        options: [],
        secrets: [PASSWORD, password],
      };
    },
    async restart() {
      await daemon.kill();
      daemon = await start(port);
    },
    async [Symbol.asyncDispose]() {
      await daemon.kill();
      folder[Symbol.dispose]();
    },
  };
}
