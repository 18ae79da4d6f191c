/** A real PostgreSQL server for one test file. */
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Peer } from '../../peers/peers.ts';
import { startDaemon } from '../../servers/daemon.ts';
import { freePort } from '../../support/free-port.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const run = promisify(execFile);

/** A name in SQL. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export interface Postgres extends AsyncDisposable {
  readonly port: number;
  /** The superuser `postgres`'s. */
  readonly password: string;
  /** Folder with `psql` and `pg_dump`, which bring their libraries; to be the first of a PATH. */
  readonly clients: string;
  /** What programs need to be let in without asking, as in the database's own pod. */
  readonly insideEnv: Readonly<Record<string, string>>;
  /** Runs statements as the superuser, without the code under test; resolves to rows with `|` between values. */
  sql(database: string, ...statements: readonly string[]): Promise<string>;
}

/** Who runs the server where tests run as root, which PostgreSQL refuses. */
const NOBODY = 65_534;

const AS_NOBODY = ['/usr/bin/setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--pdeathsig=KILL'];

export async function startPostgres(peer: Peer): Promise<Postgres> {
  const dir = makeTempDir();
  chmodSync(dir.path, 0o755);
  const { programs, share, env: own } = reachable(peer, dir.path);
  const password = 'super:s3\\cret canary-postgres';
  const data = join(dir.path, 'data');
  const passwordFile = join(dir.path, 'password');
  mkdirSync(data);
  writeFileSync(passwordFile, password);
  const asRoot = process.getuid?.() === 0;
  if (asRoot) for (const path of [dir.path, data, passwordFile]) chownSync(path, NOBODY, NOBODY);
  const asUser = asRoot ? [...AS_NOBODY] : [];
  const env = {
    PATH: `${programs}${delimiter}${process.env['PATH'] ?? ''}`,
    HOME: dir.path,
    LC_ALL: 'C.UTF-8',
    ...peer.env,
  };
  const start = async (program: string, args: readonly string[]): Promise<void> => {
    const [command = program, ...rest] = [...asUser, join(programs, program), ...args];
    await run(command, rest, { env });
  };
  try {
    const access = ['-U', 'postgres', `--pwfile=${passwordFile}`, '--auth-local=trust', '--auth-host=scram-sha-256'];
    const where = share === undefined ? [] : ['-L', share];
    await start('initdb', ['-D', data, ...access, ...where, '--no-sync', '--encoding=UTF8', '--locale=C.UTF-8']);
    const port = await freePort();
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${dir.path}`, 'fsync=off'];
    const [command = '', ...args] = [
      ...asUser,
      join(programs, 'postgres'),
      '-D',
      data,
      ...settings.flatMap((s) => ['-c', s]),
    ];
    const daemon = await startDaemon({ command, args, env, ready: /database system is ready to accept connections/ });
    const clients = clientsIn(join(dir.path, 'clients'), programs, own);
    const insideEnv = { ...env, PGHOST: dir.path, PGPORT: String(port) };
    return {
      port,
      password,
      clients,
      insideEnv,
      async sql(database, ...statements) {
        const commands = statements.map((statement) => `--command=${statement}`);
        const words = ['-X', '-q', '-t', '-A', '-v', 'ON_ERROR_STOP=1', '-U', 'postgres', ...commands];
        const { stdout } = await run(join(programs, 'psql'), words, { env: { ...insideEnv, PGDATABASE: database } });
        return stdout.trimEnd();
      },
      async [Symbol.asyncDispose]() {
        await daemon.kill();
        dir[Symbol.dispose]();
      },
    };
  } catch (error) {
    dir[Symbol.dispose]();
    throw error;
  }
}

/** Programs that work without anything in the environment. */
function clientsIn(folder: string, programs: string, env: Readonly<Record<string, string>>): string {
  mkdirSync(folder);
  const settings = Object.entries(env).map(([name, value]) => `${name}='${value}' `);
  for (const name of ['psql', 'pg_dump']) {
    const script = `#!/bin/sh\n${settings.join('')}exec '${join(programs, name)}' "$@"\n`;
    writeFileSync(join(folder, name), script, { mode: 0o755 });
  }
  return folder;
}

interface Reachable {
  readonly programs: string;
  /** Where Debian's programs would look only if they were installed. */
  readonly share: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** The programs where others may use them, too: root's home folder, in which they may be unpacked, lets nobody in. */
function reachable(peer: Peer, dir: string): Reachable {
  const programs = dirname(peer.path);
  const [, root = '', version = ''] = /^(.*)\/usr\/lib\/postgresql\/(\d+)\/bin$/.exec(programs) ?? [];
  if (root === '') return { programs, share: undefined, env: peer.env };
  const copy = join(dir, 'postgresql');
  cpSync(root, copy, { recursive: true, verbatimSymlinks: true });
  const moved = ([name, value]: [string, string]): [string, string] => [name, value.replaceAll(root, copy)];
  return {
    programs: join(copy, `usr/lib/postgresql/${version}/bin`),
    share: join(copy, `usr/share/postgresql/${version}`),
    env: Object.fromEntries(Object.entries(peer.env).map(moved)),
  };
}
