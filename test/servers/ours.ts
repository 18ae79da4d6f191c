/** Our own REST server, as the command line runs it. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import type { Server } from './server.ts';

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const USER = 'tester';
const PASSWORD = 'se:cr&t/päss';

export interface OursOptions {
  /** `--append-only` for one. */
  readonly flags?: readonly string[];
  /** Listens on a Unix socket; then it has no port. */
  readonly socket?: boolean;
}

export interface Ours extends Server {
  /** The folder that holds the repositories, each at its name. */
  readonly data: string;
}

export async function startOurs(options: OursOptions = {}): Promise<Ours> {
  const { flags = [], socket = false } = options;
  const folder = makeTempDir();
  const htpasswd = join(folder.path, '.htpasswd');
  writeFileSync(htpasswd, `${USER}:{SHA}${createHash('sha1').update(PASSWORD).digest('base64')}\n`);
  const data = join(folder.path, 'data');
  const file = join(folder.path, 'socket');
  const serve = ['serve', '--path', data, '--htpasswd-file', htpasswd];
  const start = (at: number): Promise<Daemon> => {
    const listen = ['--listen', socket ? `unix:${file}` : `127.0.0.1:${at}`];
    return startDaemon({
      command: process.execPath,
      args: ['--conditions=@restic-engine/source', MAIN, ...serve, ...listen, ...flags],
      ready: /start server on (?:127\.0\.0\.1:(\d+)|\/)/,
    });
  };
  let daemon = await start(0);
  const { port } = daemon;
  const password = encodeURIComponent(PASSWORD);
  const scheme = flags.includes('--tls') ? 'https' : 'http';
  return {
    port,
    data,
    async place(name, { port: through = port } = {}) {
      const at = socket ? `http+unix://${file}:` : `${scheme}://${USER}:${password}@127.0.0.1:${through}`;
      const env = { RESTIC_REST_USERNAME: USER, RESTIC_REST_PASSWORD: PASSWORD };
      const secrets = [PASSWORD, password, Buffer.from(`${USER}:${PASSWORD}`).toString('base64')];
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
