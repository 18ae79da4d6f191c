/** restic's own REST server. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import type { Server } from './server.ts';

const USER = 'tester';
const PASSWORD = 'se:cr&t/päss';

export interface RestServerOptions {
  /** `--append-only` for one. */
  readonly flags?: readonly string[];
  /** Listens on a Unix socket; then it has no port. */
  readonly socket?: boolean;
}

export async function startRestServer(peer: Peer, options: RestServerOptions = {}): Promise<Server> {
  const { flags = [], socket = false } = options;
  const folder = makeTempDir();
  const htpasswd = join(folder.path, '.htpasswd');
  writeFileSync(htpasswd, `${USER}:{SHA}${createHash('sha1').update(PASSWORD).digest('base64')}\n`);
  const data = join(folder.path, 'data');
  mkdirSync(data);
  const file = join(folder.path, 'socket');
  const start = (at: number): Promise<Daemon> => {
    rmSync(file, { force: true });
    const listen = ['--listen', socket ? `unix:${file}` : `127.0.0.1:${at}`];
    return startDaemon({
      command: peer.path,
      args: ['--path', data, '--htpasswd-file', htpasswd, ...listen, ...flags],
      ready: /start server on (?:127\.0\.0\.1:(\d+)|\/)/,
    });
  };
  let daemon = await start(0);
  const { port } = daemon;
  const password = encodeURIComponent(PASSWORD);
  const secrets = [PASSWORD, password, Buffer.from(`${USER}:${PASSWORD}`).toString('base64')];
  return {
    port,
    async place(name, { port: through = port } = {}) {
      const at = socket ? `http+unix://${file}:` : `http://${USER}:${password}@127.0.0.1:${through}`;
      const env = { RESTIC_REST_USERNAME: USER, RESTIC_REST_PASSWORD: PASSWORD };
      return { location: `rest:${at}/${name}/`, env: socket ? env : {}, options: [], secrets };
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
