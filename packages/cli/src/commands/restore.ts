import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { RestoreOptions } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, InvalidValue } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { restoreFigures } from '../metrics/figures.ts';
import { withRepository } from '../open.ts';
import { createRestoreReport } from '../render/restore.ts';
import { describeSnapshot } from '../render/snapshot.ts';
import { addFilterFlags, collect, latestFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { readPatterns } from '../values/lists.ts';

type Overwrite = NonNullable<RestoreOptions['overwrite']>;

const OVERWRITES: readonly Overwrite[] = ['always', 'if-changed', 'if-newer', 'never'];

interface Flags extends FilterFlags {
  readonly delete?: true | undefined;
  readonly dryRun?: true | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly excludeFile?: readonly string[] | undefined;
  readonly excludeXattr?: readonly string[] | undefined;
  readonly iexclude?: readonly string[] | undefined;
  readonly iexcludeFile?: readonly string[] | undefined;
  readonly iinclude?: readonly string[] | undefined;
  readonly iincludeFile?: readonly string[] | undefined;
  readonly include?: readonly string[] | undefined;
  readonly includeFile?: readonly string[] | undefined;
  readonly includeXattr?: readonly string[] | undefined;
  readonly overwrite?: Overwrite | undefined;
  readonly ownershipByName?: true | undefined;
  readonly sparse?: true | undefined;
  readonly target?: string | undefined;
  readonly verify?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Extract everything', words: '-r /srv/backups restore latest --target /tmp/restored' },
    {
      purpose: 'Extract the files of a folder, without the folders above it',
      words: '-r /srv/backups restore latest:/home/ann --target /tmp/restored',
    },
    {
      purpose: 'Say what would be written and deleted to make a folder what it was',
      words: '-r /srv/backups restore latest:/home/ann --target /home/ann --delete --dry-run -vv',
    },
  ],
  exits: { ...REPOSITORY_EXITS, 1: 'not done, or some items are missing' },
};

export function defineRestore(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('restore'), MANUAL)
    .description(
      'Extract the data from a snapshot to a directory. "latest" stands for the latest snapshot, and "ID:folder" for a part of one.',
    )
    .argument('[snapshotID...]')
    .option(
      '--delete',
      "delete files from target directory if they do not exist in snapshot. Use '--dry-run -vv' to check what would be deleted",
    )
    .option('--dry-run', 'do not write any data, just show what would be done')
    .option('-e, --exclude <pattern>', 'exclude a pattern (can be specified multiple times)', collect)
    .option('--exclude-file <file>', 'read exclude patterns from a file (can be specified multiple times)', collect)
    .option('--exclude-xattr <pattern>', 'exclude xattr by pattern (can be specified multiple times)', collect)
    .option('--iexclude <pattern>', 'same as --exclude pattern but ignores the casing of filenames', collect)
    .option('--iexclude-file <file>', 'same as --exclude-file but ignores casing of filenames in patterns', collect)
    .option('--iinclude <pattern>', 'same as --include pattern but ignores the casing of filenames', collect)
    .option('--iinclude-file <file>', 'same as --include-file but ignores casing of filenames in patterns', collect)
    .option('-i, --include <pattern>', 'include a pattern (can be specified multiple times)', collect)
    .option('--include-file <file>', 'read include patterns from a file (can be specified multiple times)', collect)
    .option('--include-xattr <pattern>', 'include xattr by pattern (can be specified multiple times)', collect)
    .addOption(
      new Option('--overwrite <behavior>', 'overwrite behavior')
        .choices(OVERWRITES)
        .argParser(parseOverwrite)
        .default(undefined, 'always'),
    )
    .option('--ownership-by-name', 'restore file ownership by user name and group name (except POSIX ACLs)')
    .option('--sparse', 'restore files as sparse')
    .option('-t, --target <directory>', 'directory to extract data to')
    .option('--verify', 'verify restored files content');
  addFilterFlags(command, { latest: true });
  return command.action((ids, flags: Flags) => restore(start(), ids, flags));
}

async function restore(context: Context, ids: readonly string[], flags: Flags): Promise<void> {
  const { env, globals, outcome, signal, ui } = context;
  const { id, target } = checkedRequest(ids, flags);
  const engine = await import('restic-engine');
  const read = (paths: readonly string[] | undefined): Promise<string[]> => readPatterns(engine, paths ?? [], env);
  const patterns = {
    include: [...(flags.include ?? []), ...(await read(flags.includeFile))],
    iinclude: [...(flags.iinclude ?? []), ...(await read(flags.iincludeFile))],
    exclude: [...(flags.exclude ?? []), ...(await read(flags.excludeFile))],
    iexclude: [...(flags.iexclude ?? []), ...(await read(flags.iexcludeFile))],
  };
  checkPatterns(patterns, target, flags.delete ?? false);
  await withRepository(context, async (repository) => {
    const { snapshot, subfolder } = await engine.findSnapshot(repository, id, {
      filter: latestFilter(flags, env),
      signal,
    });
    ui.say(`restoring snapshot ${describeSnapshot(snapshot)} to ${target}`);
    using report = createRestoreReport(ui, target);
    const result = await engine.restore(repository, {
      ...patterns,
      snapshot: `${snapshot.id}:${subfolder}`,
      target,
      includeXattr: flags.includeXattr,
      excludeXattr: flags.excludeXattr,
      overwrite: flags.overwrite,
      delete: flags.delete,
      sparse: flags.sparse,
      verify: flags.verify,
      dryRun: flags.dryRun,
      ownershipByName: flags.ownershipByName,
      lock: globals.lock,
      retryLockMs: globals.retryLockMs,
      signal,
      ...(ui.intervalMs === undefined ? {} : { onProgress: report.onProgress }),
      onItem: report.onItem,
      onError: report.onError,
    });
    outcome.figures.push(...restoreFigures(result));
    report.finish(result);
    if (result.errors.length > 0) throw new Fatal(`There were ${result.errors.length} errors`);
  });
}

function checkedRequest(ids: readonly string[], flags: Flags): { id: string; target: string } {
  const [id, ...others] = ids;
  const { target } = flags;
  if (id === undefined) throw new Fatal('no snapshot ID specified');
  if (others.length > 0) throw new Fatal(`more than one snapshot ID specified: [${ids.join(' ')}]`);
  if (target === undefined || target === '') throw new Fatal('please specify a directory to restore to (--target)');
  if (flags.dryRun && flags.verify) throw new Fatal('--dry-run and --verify are mutually exclusive');
  return { id, target };
}

interface Patterns {
  readonly include: readonly string[];
  readonly iinclude: readonly string[];
  readonly exclude: readonly string[];
  readonly iexclude: readonly string[];
}

function checkPatterns(patterns: Patterns, target: string, isDeleting: boolean): void {
  const includes = patterns.include.length + patterns.iinclude.length;
  const excludes = patterns.exclude.length + patterns.iexclude.length;
  if (includes > 0 && excludes > 0) throw new Fatal('exclude and include patterns are mutually exclusive');
  if (isDeleting && target === '/' && includes + excludes === 0) {
    throw new Fatal("'--target / --delete' must be combined with an include or exclude filter");
  }
}

function parseOverwrite(text: string): Overwrite {
  const found = OVERWRITES.find((name) => name === text);
  if (found !== undefined) return found;
  throw new InvalidValue(`invalid overwrite behavior "${text}", must be one of (${OVERWRITES.join('|')})`);
}
