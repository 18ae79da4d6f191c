import { createWriteStream } from 'node:fs';
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { Option } from '@commander-js/extra-typings';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { HtpasswdFile, ListenAt, Places, RequestRecord, TlsOptions } from '@restic-engine/rest-server';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { openPlaceOnce } from '../open.ts';
import { accessLogLine } from '../render/access-log.ts';
import { parseListen } from '../values/listen.ts';
import { parseSize } from '../values/size.ts';
import { isMissing } from '../values/text-file.ts';

interface Flags {
  readonly path?: string | undefined;
  readonly listen: ListenAt;
  readonly htpasswdFile?: string | undefined;
  /** false with --no-auth */
  readonly auth: boolean;
  readonly appendOnly?: true | undefined;
  readonly privateRepos?: true | undefined;
  readonly maxSize?: number | undefined;
  readonly tls?: true | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsClientCa?: string | undefined;
  readonly prometheus?: true | undefined;
  readonly prometheusNoAuth?: true | undefined;
  /** false with --no-verify-upload */
  readonly verifyUpload: boolean;
  readonly log?: string | undefined;
}

type RestServerModule = typeof import('@restic-engine/rest-server');

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Serve all repositories of a folder to the users of a list, who can add but not remove',
      words: 'serve --path /srv/repositories --htpasswd-file /etc/backup.htpasswd --append-only',
    },
    {
      purpose: 'Serve one repository to this machine',
      words: '-r /srv/backups serve --listen 127.0.0.1:8000 --no-auth',
    },
  ],
  exits: LOCAL_EXITS,
};

export function defineServe(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('serve'), MANUAL)
    .description(
      "Serve repositories over restic's REST protocol: those in the folders below --path, or the one that -r names, " +
        'which may be on another server. Ends in good order on SIGINT and SIGTERM; on SIGHUP reads the users again.',
    )
    .option('--path <directory>', 'data directory; repositories are in it or in folders up to two levels below')
    .addOption(
      new Option('--listen <address>', 'listen address, host:port or unix:/path')
        .argParser(parseListen)
        .default(parseListen(':8000'), ':8000'),
    )
    .option('--htpasswd-file <file>', 'location of the htpasswd file (default: .htpasswd in the data directory)')
    .option('--no-auth', 'disable authentication')
    .option('--append-only', 'enable append only mode')
    .option('--private-repos', 'users can only access their private repo')
    .option('--max-size <bytes>', 'the maximum size of all repositories together', parseSize)
    .option('--tls', 'turn on TLS support')
    .option('--tls-cert <file>', 'TLS certificate path (default: public_key in the data directory)')
    .option('--tls-key <file>', 'TLS key path (default: private_key in the data directory)')
    .option('--tls-client-ca <file>', 'admit only clients with a certificate signed by one of these')
    .option('--prometheus', 'enable Prometheus metrics')
    .option('--prometheus-no-auth', 'disable auth for the /metrics endpoint of --prometheus')
    .option('--no-verify-upload', 'do not verify the integrity of uploaded data')
    .option('--log <file>', 'write HTTP requests in the combined log format to the file ("-" for standard output)')
    .action((flags) => serve(start(), flags));
}

async function serve(context: Context, flags: Flags): Promise<void> {
  const { signal, ui } = context;
  const module = await import('@restic-engine/rest-server');
  await using resources = new AsyncDisposableStack();
  const places = await openPlaces(context, flags, resources);
  const tls = await readTls(flags);
  const users = await openUsers(context, flags, module);
  if (users !== undefined) {
    const reload = (): void => void users.reload();
    process.on('SIGHUP', reload);
    resources.defer(() => void process.off('SIGHUP', reload));
  }
  const server = module.createRestServer({
    ...places,
    authenticate: users?.authenticate ?? false,
    appendOnly: flags.appendOnly ?? false,
    privateRepositories: flags.privateRepos ?? false,
    ...(flags.maxSize !== undefined && { maxSize: flags.maxSize }),
    ...(flags.path !== undefined && { storedBytes: () => sizeBelow(flags.path ?? '') }),
    metrics: flags.prometheus ? (flags.prometheusNoAuth ? 'open' : true) : false,
    verifyUploads: flags.verifyUpload,
    onRequest: recorder(context, flags.log, resources),
  });
  resources.use(server);
  const { url } = await server.listen(flags.listen, tls === undefined ? {} : { tls });
  const where = url.replace(/^https?:\/\/(.*)\/$/, '$1').replace(/^https?\+unix:\/\/(.*):\/$/, '$1');
  if (ui.json) ui.line(JSON.stringify({ message_type: 'listening', url }));
  ui.say(`start server on ${where}`);
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
    if (signal.aborted) resolve(undefined);
  });
}

/** The repositories: folders, or a single place of any kind. */
async function openPlaces(context: Context, flags: Flags, resources: AsyncDisposableStack): Promise<Places> {
  const { env, globals } = context;
  const { path } = flags;
  const { location, file } = globals.repository;
  const fromFlags = file !== env['RESTIC_REPOSITORY_FILE'] || location !== env['RESTIC_REPOSITORY'];
  if (path !== undefined && fromFlags) throw new Fatal('--path and -r are mutually exclusive, please specify only one');
  const engine = await import('restic-engine');
  if (path !== undefined) return { open: (repository) => engine.localBackend(join(path, repository)) };
  if (location === undefined && file === undefined) {
    throw new Fatal('Please specify the data directory (--path) or one repository (-r)');
  }
  return { backend: resources.use(await openPlaceOnce(context, engine, globals.repository)) };
}

/** undefined with --no-auth */
async function openUsers(context: Context, flags: Flags, module: RestServerModule): Promise<HtpasswdFile | undefined> {
  const { ui } = context;
  if (!flags.auth) {
    if (flags.privateRepos) throw new Fatal('--private-repos needs users: leave out --no-auth');
    return undefined;
  }
  const path = inData(flags, flags.htpasswdFile, '.htpasswd', '--htpasswd-file (use --no-auth to disable)');
  try {
    return await module.htpasswdFile(path, {
      onRead(result) {
        if (result instanceof Error) ui.warn(`${path}: ${result.message}; the users stay as they were`);
        else for (const problem of result.problems) ui.warn(`${path}: ${problem}`);
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fatal(`cannot load ${path} (use --no-auth to disable): ${reason}`);
  }
}

async function readTls(flags: Flags): Promise<TlsOptions | undefined> {
  const { tlsCert, tlsKey, tlsClientCa } = flags;
  if (!flags.tls) {
    if ((tlsCert ?? tlsKey ?? tlsClientCa) !== undefined)
      throw new Fatal('--tls-cert, --tls-key and --tls-client-ca need --tls');
    return undefined;
  }
  const key = await readFile(inData(flags, tlsKey, 'private_key', '--tls-key'), 'utf8');
  const cert = await readFile(inData(flags, tlsCert, 'public_key', '--tls-cert'), 'utf8');
  return tlsClientCa === undefined ? { key, cert } : { key, cert, clientCa: await readFile(tlsClientCa, 'utf8') };
}

/** A file of the server's own, which is in the data directory unless a flag says where. */
function inData({ path }: Flags, given: string | undefined, name: string, flag: string): string {
  if (given !== undefined) return given;
  if (path === undefined) throw new Fatal(`without --path, ${flag} must be given`);
  return join(path, name);
}

/** What becomes of the records of requests: lines in the log, and failures of the store on standard error. */
function recorder(
  { ui }: Context,
  log: string | undefined,
  resources: AsyncDisposableStack,
): (record: RequestRecord) => void {
  const write = logWriter(log, ui, resources);
  return (record) => {
    write?.(accessLogLine(record, new Date()));
    const { error, method, status, target } = record;
    if (status >= 500 && error instanceof Error) ui.warn(`${method} ${target}: ${status}: ${error.message}`);
  };
}

function logWriter(
  log: string | undefined,
  ui: Context['ui'],
  resources: AsyncDisposableStack,
): ((line: string) => void) | undefined {
  if (log === undefined) return undefined;
  if (log === '-') return (line) => ui.line(line);
  const stream = createWriteStream(log, { flags: 'a', mode: 0o644 });
  stream.on('error', (error) => ui.warn(`${log}: ${error.message}`));
  resources.defer(() => new Promise<void>((resolve) => void stream.end(() => resolve())));
  return (line) => void stream.write(`${line}\n`);
}

/** Bytes of all files below a folder; one that is not there yet is empty. */
async function sizeBelow(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await entriesOf(path)) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) bytes += await sizeBelow(child);
    else if (entry.isFile()) bytes += (await stat(child)).size;
  }
  return bytes;
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
