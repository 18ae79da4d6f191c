import process from 'node:process';
import { addAbortSignal } from 'node:stream';
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { BackupOptions, GroupBy, HeldIndex, ItemError, Repository, Source } from 'restic-engine';
import { ownCache } from '../cache.ts';
import type { Context, Start } from '../context.ts';
import { explain, Fatal, Incomplete, UsageError } from '../failure.ts';
import type { Environment } from '../globals.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { backupFigures } from '../metrics/figures.ts';
import { withRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { createBackupReport, tellSource, tellSourceFailure } from '../render/backup.ts';
import { programVersion } from '../version.ts';
import { parseBoolean } from '../values/boolean.ts';
import { commandOutput } from '../values/command-output.ts';
import { collect, groupByFlag, splitTags } from '../values/filter.ts';
import { readPatterns, readTargets } from '../values/lists.ts';
import { parseCount, parseSize } from '../values/size.ts';
import { parseTime } from '../values/time.ts';

/** Exit status of a backup that could not read everything. */
const INCOMPLETE = 3;

interface Flags {
  readonly dryRun?: true | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly iexclude?: readonly string[] | undefined;
  readonly excludeFile?: readonly string[] | undefined;
  readonly iexcludeFile?: readonly string[] | undefined;
  readonly excludeCaches?: true | undefined;
  readonly excludeIfPresent?: readonly string[] | undefined;
  readonly excludeLargerThan?: number | undefined;
  readonly filesFrom?: readonly string[] | undefined;
  readonly filesFromRaw?: readonly string[] | undefined;
  readonly filesFromVerbatim?: readonly string[] | undefined;
  readonly force?: true | undefined;
  readonly groupBy?: readonly GroupBy[] | undefined;
  readonly host?: string | undefined;
  readonly hostname?: string | undefined;
  readonly ignoreCtime?: true | undefined;
  readonly ignoreInode?: true | undefined;
  readonly scan: boolean;
  readonly oneFileSystem?: true | undefined;
  readonly parent?: string | undefined;
  readonly readConcurrency?: number | undefined;
  readonly skipIfUnchanged?: true | undefined;
  readonly stdin?: true | undefined;
  readonly stdinFilename: string;
  readonly stdinFromCommand?: true | undefined;
  readonly tag?: readonly string[] | undefined;
  readonly time?: Date | undefined;
  readonly withAtime?: true | undefined;
}

const EXCLUDE_IF_PRESENT = new Option(
  '--exclude-if-present <filename[:header]>',
  'exclude contents of directories containing filename (except filename itself) if header of that file is as provided (can be specified multiple times)',
).argParser(collect);
const FILES_FROM = new Option(
  '--files-from <file>',
  'read the files to backup from file, one pattern a line (can be combined with file args; can be specified multiple times)',
).argParser(collect);
const FILES_FROM_RAW = new Option(
  '--files-from-raw <file>',
  'read the files to backup from file, each ends with a zero byte (can be combined with file args; can be specified multiple times)',
).argParser(collect);
const FILES_FROM_VERBATIM = new Option(
  '--files-from-verbatim <file>',
  'read the files to backup from file, one a line (can be combined with file args; can be specified multiple times)',
).argParser(collect);
const PARENT = new Option(
  '--parent <snapshot>',
  'use this parent snapshot (default: latest snapshot in the group determined by --group-by and not newer than the timestamp determined by --time)',
);
const READ_CONCURRENCY = new Option(
  '--read-concurrency <n>',
  'read n large files concurrently (default: $RESTIC_READ_CONCURRENCY or one for each processor)',
).argParser((text) => parseCount(text));

const MANUAL: Manual = {
  examples: [
    { purpose: 'Back up a home folder', words: '-r /srv/backups backup /home/ann --exclude-caches --tag nightly' },
    {
      purpose: 'Leave out what a list of patterns says, and do nothing where nothing changed',
      words: '-r /srv/backups backup /home/ann --exclude-file /etc/backup.exclude --skip-if-unchanged',
    },
    {
      purpose: 'Back up what a command prints',
      words: '-r /srv/backups backup --stdin-filename app.sql --stdin-from-command -- pg_dump app',
    },
  ],
  exits: {
    ...REPOSITORY_EXITS,
    1: 'no snapshot was made',
    3: 'the snapshot is there, but some files could not be read',
  },
};

export function defineBackup(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('backup'), MANUAL)
    .description('Create a new snapshot of the files and directories given as the arguments.')
    .argument('[FILE/DIR...]')
    .option('-n, --dry-run', 'do not upload or write any data, just show what would be done')
    .option('-e, --exclude <pattern>', 'exclude a pattern (can be specified multiple times)', collect)
    .option('--exclude-caches', 'excludes cache directories that are marked with a CACHEDIR.TAG file')
    .option('--exclude-file <file>', 'read exclude patterns from a file (can be specified multiple times)', collect)
    .addOption(EXCLUDE_IF_PRESENT)
    .option(
      '--exclude-larger-than <size>',
      'max size of the files to be backed up (allowed suffixes: k/K, m/M, g/G, t/T)',
      parseSize,
    )
    .addOption(FILES_FROM)
    .addOption(FILES_FROM_RAW)
    .addOption(FILES_FROM_VERBATIM)
    .option('-f, --force', 'force re-reading the source files/directories (overrides the "parent" flag)')
    .addOption(groupByFlag('host,paths'))
    .option('-H, --host <hostname>', 'set the hostname for the snapshot manually (default: $RESTIC_HOST)')
    .addOption(new Option('--hostname <hostname>', 'the old name of --host').hideHelp())
    .option('--iexclude <pattern>', 'same as --exclude pattern but ignores the casing of filenames', collect)
    .option('--iexclude-file <file>', 'same as --exclude-file but ignores casing of filenames in patterns', collect)
    .option('--ignore-ctime', 'ignore ctime changes when checking for modified files')
    .option('--ignore-inode', 'ignore inode number and ctime changes when checking for modified files')
    .option('--no-scan', 'do not run scanner to estimate size of backup')
    .option('-x, --one-file-system', "exclude other file systems, don't cross filesystem boundaries and subvolumes")
    .addOption(PARENT)
    .addOption(READ_CONCURRENCY)
    .option('--skip-if-unchanged', 'skip snapshot creation if identical to parent snapshot')
    .option('--stdin', 'read backup from stdin')
    .option('--stdin-filename <filename>', 'filename to use when reading from stdin', 'stdin')
    .option('--stdin-from-command', 'interpret arguments as command to execute and store its stdout')
    .option(
      '--tag <tags>',
      'add tags for the new snapshot in the format `tag[,tag,...]` (can be specified multiple times)',
      collect,
    )
    .option('--time <time>', "time of the backup (ex. '2012-11-01 22:08:41') (default: now)", parseTime)
    .option('--with-atime', 'store the atime for all files and directories');
  return command.action((args, flags) => {
    const context = start();
    const isGiven = args.length > 0 || isStream(flags) || lists(flags).length > 0;
    if (isGiven || context.sources.length === 0) return backup(context, { args, flags });
    const requests = context.sources.map(({ name, operands, isCommand, withFlags }) => ({
      name,
      args: operands,
      flags: { ...withFlags(() => ({ ...command.opts() })), ...(isCommand && { stdinFromCommand: true as const }) },
    }));
    return backupSources(context, requests);
  });
}

interface Request {
  readonly args: readonly string[];
  readonly flags: Flags;
}

async function backup(context: Context, request: Request): Promise<void> {
  const { flags } = request;
  check(context, [request]);
  context.stdinIsData = flags.stdin ?? false;
  const engine = await import('restic-engine');
  const job = await prepare(engine, context, request);
  context.ui.say('open repository', 2);
  await withRepository(context, (repository) => save(engine, context, repository, job));
}

/** Each makes a snapshot of its own; one that fails does not keep the others. */
async function backupSources(
  context: Context,
  requests: readonly (Request & { readonly name: string })[],
): Promise<void> {
  const { globals, outcome, signal, ui } = context;
  check(context, requests);
  const exits = new Map<string, number>();
  await withRepository(context, async (repository, engine) => {
    await using lock = await repository.lock({ retryMs: globals.retryLockMs, signal });
    const under = { lock, indexed: await repository.loadIndex({ signal: lock.signal }) };
    for (const [index, request] of requests.entries()) {
      const { name } = request;
      tellSource(ui, { name, number: index + 1, total: requests.length });
      try {
        await save(engine, context, repository, { ...(await prepare(engine, context, request)), name }, under);
        exits.set(name, 0);
      } catch (error) {
        // Without a lock there can be no backup, and whoever interrupts does not mean one source.
        if (lock.signal.aborted) throw lock.lost ?? error;
        const { exit, message } = await explain(error, context.location);
        tellSourceFailure(ui, { name, exit, message });
        exits.set(name, exit);
      }
    }
  });
  for (const [source, value] of exits)
    outcome.figures.push({ metric: 'backup_source_exit_code', value, labels: { source } });
  const failed = [...exits].filter(([, exit]) => exit !== 0);
  if (failed.length === 0) return;
  const [, worst] = failed.find(([, exit]) => exit !== INCOMPLETE) ?? [];
  const names = failed.map(([name]) => name).join(', ');
  throw new Incomplete(
    worst ?? INCOMPLETE,
    `Warning: ${failed.length} of ${requests.length} sources failed or are incomplete: ${names}`,
  );
}

/** What to back up, ready to be read. */
interface Job {
  /** For metrics. */
  readonly name: string;
  readonly source: Source;
  /** As given; none of a stream. */
  readonly targets: readonly string[];
  readonly flags: Flags;
}

async function prepare(engine: Engine, context: Context, { args, flags }: Request): Promise<Job> {
  if (isStream(flags)) {
    const source = streamSource(engine, args, flags, context.signal);
    return { name: flags.stdinFilename, source, targets: [], flags };
  }
  const targets = await allTargets(engine, context, args, flags);
  const source = await fileSource(engine, context, targets, flags);
  return { name: [...args, ...lists(flags)].join(', '), source, targets, flags };
}

async function save(
  engine: Engine,
  context: Context,
  repository: Repository,
  { name, source, targets, flags }: Job,
  under?: HeldIndex,
): Promise<void> {
  const { outcome, ui } = context;
  const { dryRun = false, force = false } = flags;
  const stream = isStream(flags);
  ui.say(stream ? 'read data from stdin' : `start backup on [${targets.join(' ')}]`, 2);
  using report = createBackupReport(ui, { dryRun, force, stream, targets });
  const result = await engine.backup(repository, {
    source,
    ...optionsOf(flags, context),
    under,
    ...(ui.intervalMs === undefined && ui.verbosity < 2 ? {} : { onProgress: report.onProgress }),
    onParent: report.onParent,
    onItem: report.onItem,
    onError: report.onError,
  });
  if (result.snapshotId !== undefined) outcome.snapshots.push(result.snapshotId);
  outcome.figures.push(...backupFigures(name, result));
  const isEmpty = stream && result.summary.totalBytesProcessed === 0;
  // As restic: whoever was to write has most likely failed, and a pipe does not tell.
  if (isEmpty) report.onError(noData(engine, result.snapshot.paths.join()));
  report.finish(result);
  if (isEmpty || result.errors.length > 0)
    throw new Incomplete(INCOMPLETE, 'Warning: at least one source file could not be read');
}

function optionsOf(flags: Flags, { env, globals, signal }: Context): Omit<BackupOptions, 'source'> {
  const { dryRun, exclude: excludes, force, groupBy, host = flags.hostname, parent, skipIfUnchanged, time } = flags;
  return {
    dryRun,
    force,
    hostname: (host ?? env['RESTIC_HOST']) || undefined,
    tags: (flags.tag ?? []).flatMap(splitTags).filter((tag) => tag !== ''),
    time,
    excludes,
    parent,
    groupBy,
    skipIfUnchanged,
    ignoreInode: flags.ignoreInode ?? isTrue(env, 'RESTIC_IGNORE_INODE'),
    ignoreCtime: flags.ignoreCtime ?? isTrue(env, 'RESTIC_IGNORE_CTIME'),
    programVersion: `restic-engine ${programVersion()}`,
    readConcurrency: (flags.readConcurrency ?? parseCount(env['RESTIC_READ_CONCURRENCY'] || '0')) || undefined,
    retryLockMs: globals.retryLockMs,
    signal,
  };
}

function isStream({ stdin, stdinFromCommand }: Flags): boolean {
  return stdin === true || stdinFromCommand === true;
}

/** The files that list what to back up. */
function lists({ filesFrom = [], filesFromRaw = [], filesFromVerbatim = [] }: Flags): string[] {
  return [...filesFrom, ...filesFromRaw, ...filesFromVerbatim];
}

/** Complains of what no repository is needed to see. */
function check({ globals, ui }: Context, requests: readonly Request[]): void {
  for (const { args, flags } of requests) if (isStream(flags)) checkStdin(args, flags);
  if (!globals.lock) ui.warn('Warning: a backup needs its lock, --no-lock is not followed');
  if (requests.some(({ flags }) => flags.hostname !== undefined))
    ui.warn('Flag --hostname has been deprecated, use --host');
}

function checkStdin(args: readonly string[], flags: Flags): void {
  if (lists(flags).length > 0) throw new Fatal('--stdin and --files-from cannot be used together');
  if (flags.stdinFilename === '') throw new UsageError('failed to backup from stdin: invalid filename specified');
  if (flags.stdinFromCommand) {
    if (args.length === 0) throw new UsageError('no command was specified as argument');
  } else if (args.length > 0) throw new Fatal('--stdin was specified and files/dirs were listed as arguments');
}

function noData({ EngineError }: Engine, path: string): ItemError {
  return { path, during: 'archival', error: new EngineError('io', `failed to save ${path}: no data read`) };
}

/** What is being read may never end, so the signal must end it. */
function streamSource(engine: Engine, args: readonly string[], flags: Flags, signal: AbortSignal): Source {
  return engine.stream({
    path: flags.stdinFilename,
    content: flags.stdinFromCommand ? commandOutput(args, signal) : addAbortSignal(signal, process.stdin),
  });
}

async function allTargets(engine: Engine, { ui }: Context, args: readonly string[], flags: Flags): Promise<string[]> {
  const { filesFrom: globs = [], filesFromVerbatim: verbatim = [], filesFromRaw: raw = [] } = flags;
  const targets = [...(await readTargets(engine, { globs, verbatim, raw }, ui)), ...args];
  if (targets.length === 0) throw new Fatal('nothing to backup, please specify source files/dirs');
  return targets;
}

async function fileSource(engine: Engine, context: Context, targets: readonly string[], flags: Flags): Promise<Source> {
  const { env, features } = context;
  return engine.files({
    targets,
    excludes: [...(flags.exclude ?? []), ...(await readPatterns(engine, flags.excludeFile ?? [], env))],
    iexcludes: [...(flags.iexclude ?? []), ...(await readPatterns(engine, flags.iexcludeFile ?? [], env))],
    excludeIfPresent: flags.excludeIfPresent,
    excludeCaches: flags.excludeCaches,
    excludeDirectories: ownCache(engine, context),
    excludeLargerThan: flags.excludeLargerThan,
    oneFileSystem: flags.oneFileSystem,
    withAtime: flags.withAtime,
    deviceIdForHardlinks: features.has('device-id-for-hardlinks'),
    scan: flags.scan,
  });
}

function isTrue(env: Environment, name: string): boolean {
  return parseBoolean(env[name] ?? '') ?? false;
}
