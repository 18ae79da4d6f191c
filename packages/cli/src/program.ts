/** The commands there are; each is loaded when it is called. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from './context.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { GlobalFlags } from './flags.ts';
import { declareGlobalFlags, findOperands } from './global-flag.ts';
import { newProgram } from './new-program.ts';

/** Adds a command with its flags and its action to the program. */
export type Define = (program: CommandUnknownOpts, start: Start, flags: GlobalFlags) => CommandUnknownOpts;

interface Entry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Define>;
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'backup',
    summary: 'Create a new backup of files and/or directories',
    load: async () => (await import('./commands/backup.ts')).defineBackup,
  },
  {
    name: 'cache',
    summary: 'Operate on local cache directories',
    load: async () => (await import('./commands/cache.ts')).defineCache,
  },
  {
    name: 'cat',
    summary: 'Print internal objects to stdout',
    load: async () => (await import('./commands/cat.ts')).defineCat,
  },
  {
    name: 'check',
    summary: 'Check the repository for errors',
    load: async () => (await import('./commands/check.ts')).defineCheck,
  },
  {
    name: 'check-backend',
    summary: 'Test a place for repositories',
    load: async () => (await import('./commands/check-backend.ts')).defineCheckBackend,
  },
  {
    name: 'copy',
    summary: 'Copy snapshots from one repository to another',
    load: async () => (await import('./commands/copy.ts')).defineCopy,
  },
  {
    name: 'diff',
    summary: 'Show differences between two snapshots',
    load: async () => (await import('./commands/diff.ts')).defineDiff,
  },
  {
    name: 'dump',
    summary: 'Print backed-up files or folders to stdout',
    load: async () => (await import('./commands/dump.ts')).defineDump,
  },
  {
    name: 'features',
    summary: 'Print list of feature flags',
    load: async () => (await import('./commands/features.ts')).defineFeatures,
  },
  {
    name: 'find',
    summary: 'Find a file, a directory or restic IDs',
    load: async () => (await import('./commands/find.ts')).defineFind,
  },
  {
    name: 'forget',
    summary: 'Remove snapshots from the repository',
    load: async () => (await import('./commands/forget.ts')).defineForget,
  },
  {
    name: 'generate',
    summary: 'Generate manual pages and auto-completion files (bash, fish, zsh, powershell)',
    load: async () => (await import('./commands/generate.ts')).defineGenerate,
  },
  {
    name: 'init',
    summary: 'Initialize a new repository',
    load: async () => (await import('./commands/init.ts')).defineInit,
  },
  {
    name: 'key',
    summary: 'Manage keys (passwords)',
    load: async () => (await import('./commands/key.ts')).defineKey,
  },
  {
    name: 'list',
    summary: 'List objects in the repository',
    load: async () => (await import('./commands/list.ts')).defineList,
  },
  {
    name: 'ls',
    summary: 'List files in a snapshot',
    load: async () => (await import('./commands/ls.ts')).defineLs,
  },
  {
    name: 'migrate',
    summary: 'Apply migrations',
    load: async () => (await import('./commands/migrate.ts')).defineMigrate,
  },
  {
    name: 'mount',
    summary: 'Mount the repository',
    load: async () => (await import('./commands/mount.ts')).defineMount,
  },
  {
    name: 'options',
    summary: 'Print list of extended options',
    load: async () => (await import('./commands/options.ts')).defineOptions,
  },
  {
    name: 'profile',
    summary: 'Show profiles',
    load: async () => (await import('./commands/profile.ts')).defineProfile,
  },
  {
    name: 'prune',
    summary: 'Remove unneeded data from the repository',
    load: async () => (await import('./commands/prune.ts')).definePrune,
  },
  {
    name: 'recover',
    summary: 'Recover data from the repository not referenced by snapshots',
    load: async () => (await import('./commands/recover.ts')).defineRecover,
  },
  {
    name: 'repair',
    summary: 'Repair the repository',
    load: async () => (await import('./commands/repair.ts')).defineRepair,
  },
  {
    name: 'restore',
    summary: 'Extract the data from a snapshot',
    load: async () => (await import('./commands/restore.ts')).defineRestore,
  },
  {
    name: 'rewrite',
    summary: 'Rewrite snapshots to exclude files or change metadata',
    load: async () => (await import('./commands/rewrite.ts')).defineRewrite,
  },
  {
    name: 'serve',
    summary: "Serve repositories over restic's REST protocol",
    load: async () => (await import('./commands/serve.ts')).defineServe,
  },
  {
    name: 'snapshots',
    summary: 'List all snapshots',
    load: async () => (await import('./commands/snapshots.ts')).defineSnapshots,
  },
  {
    name: 'stats',
    summary: 'Scan the repository and show basic statistics',
    load: async () => (await import('./commands/stats.ts')).defineStats,
  },
  {
    name: 'tag',
    summary: 'Modify tags on snapshots',
    load: async () => (await import('./commands/tag.ts')).defineTag,
  },
  {
    name: 'unlock',
    summary: 'Remove locks other processes created',
    load: async () => (await import('./commands/unlock.ts')).defineUnlock,
  },
  {
    name: 'version',
    summary: 'Print version information',
    load: async () => (await import('./commands/version.ts')).defineVersion,
  },
];

/** Commands that need to know the flags of all others. */
const DESCRIBING: ReadonlySet<string> = new Set(['generate', 'profile']);

/** The program, with the command that `argv` names ready to run. Of the others it has the names, if that is enough. */
export async function buildProgram(
  argv: readonly string[],
  flags: GlobalFlags,
  start: Start,
): Promise<CommandUnknownOpts> {
  const program = newProgram(
    'restic-engine',
    'Encrypted, deduplicated backups',
    'Encrypted, deduplicated backups in repositories that restic reads and writes too.',
  );
  const [first, second] = findOperands(argv, GLOBAL_FLAGS);
  const wanted = first === 'help' ? second : first;
  for (const { name, summary, load } of COMMANDS) {
    if (name === wanted || DESCRIBING.has(wanted ?? '')) (await load())(program, start, flags).summary(summary);
    else program.command(name).summary(summary);
  }
  if (wanted === 'rebuild-index') (await import('./commands/repair.ts')).defineRebuildIndex(program, start);
  declareGlobalFlags(program, GLOBAL_FLAGS, flags);
  return program;
}
