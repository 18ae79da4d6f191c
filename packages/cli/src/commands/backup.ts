import process from 'node:process';
import { addAbortSignal } from 'node:stream';
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { GroupBy, ItemError, Source } from 'restic-engine';
import { ownCache } from '../cache.ts';
import type { Context, Start } from '../context.ts';
import { Fatal, Incomplete, UsageError } from '../failure.ts';
import type { Environment } from '../globals.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { createBackupReport } from '../render/backup.ts';
import { programVersion } from '../version.ts';
import { commandOutput } from '../values/command-output.ts';
import { collect, groupByFlag, splitTags } from '../values/filter.ts';
import { readPatterns, readTargets } from '../values/lists.ts';
import { parseCount, parseSize } from '../values/size.ts';
import { parseTime } from '../values/time.ts';

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
  return documented(program.command('backup'), MANUAL)
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
    .option('--with-atime', 'store the atime for all files and directories')
    .action((targets, flags) => backup(start(), targets, flags));
}

async function backup(context: Context, args: readonly string[], flags: Flags): Promise<void> {
  const { env, globals, signal, ui } = context;
  checkStdin(args, flags);
  if (!globals.lock) ui.warn('Warning: a backup needs its lock, --no-lock is not followed');
  context.stdinIsData = flags.stdin ?? false;
  const engine = await import('restic-engine');
  const streamed = isStream(flags);
  const targets = streamed ? [] : await allTargets(engine, context, args, flags);
  const source = streamed
    ? streamSource(engine, args, flags, signal)
    : await fileSource(engine, context, targets, flags);
  const { dryRun = false, force = false, host = flags.hostname } = flags;
  if (flags.hostname !== undefined) ui.warn('Flag --hostname has been deprecated, use --host');
  ui.say('open repository', 2);
  await withRepository(context, async (repository) => {
    ui.say(streamed ? 'read data from stdin' : `start backup on [${targets.join(' ')}]`, 2);
    using report = createBackupReport(ui, { dryRun, force, stream: streamed, targets });
    const result = await engine.backup(repository, {
      source,
      dryRun,
      force,
      hostname: (host ?? env['RESTIC_HOST']) || undefined,
      tags: (flags.tag ?? []).flatMap(splitTags).filter((tag) => tag !== ''),
      time: flags.time,
      excludes: flags.exclude,
      parent: flags.parent,
      groupBy: flags.groupBy,
      skipIfUnchanged: flags.skipIfUnchanged,
      ignoreInode: flags.ignoreInode ?? isTrue(env, 'RESTIC_IGNORE_INODE'),
      ignoreCtime: flags.ignoreCtime ?? isTrue(env, 'RESTIC_IGNORE_CTIME'),
      programVersion: `restic-engine ${programVersion()}`,
      readConcurrency: (flags.readConcurrency ?? parseCount(env['RESTIC_READ_CONCURRENCY'] || '0')) || undefined,
      retryLockMs: globals.retryLockMs,
      signal,
      ...(ui.intervalMs === undefined ? {} : { onProgress: report.onProgress }),
      onParent: report.onParent,
      onItem: report.onItem,
      onError: report.onError,
    });
    const isEmpty = streamed && result.summary.totalBytesProcessed === 0;
    // As restic: whoever was to write has most likely failed, and a pipe does not tell.
    if (isEmpty) report.onError(noData(engine, result.snapshot.paths.join()));
    report.finish(result);
    if (isEmpty || result.errors.length > 0)
      throw new Incomplete(3, 'Warning: at least one source file could not be read');
  });
}

function isStream({ stdin, stdinFromCommand }: Flags): boolean {
  return stdin === true || stdinFromCommand === true;
}

function checkStdin(args: readonly string[], flags: Flags): void {
  if (!isStream(flags)) return;
  const lists = [...(flags.filesFrom ?? []), ...(flags.filesFromRaw ?? []), ...(flags.filesFromVerbatim ?? [])];
  if (lists.length > 0) throw new Fatal('--stdin and --files-from cannot be used together');
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

const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

function isTrue(env: Environment, name: string): boolean {
  return TRUE.has(env[name] ?? '');
}
