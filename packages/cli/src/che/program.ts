/** The commands of che-backup; each is loaded when it is called. */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { declareGlobalFlags, findOperands } from '../global-flag.ts';
import { newProgram } from '../new-program.ts';
import { versionLine } from '../version.ts';
import type { CheStart } from './context.ts';
import { CHE_FLAGS } from './flags.ts';
import type { CheFlags } from './flags.ts';

type Define = (program: CommandUnknownOpts, start: CheStart) => CommandUnknownOpts;

interface Entry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<Define>;
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'server:backup',
    summary: 'Back up Eclipse Che',
    load: async () => (await import('./commands/server-backup.ts')).defineServerBackup,
  },
  {
    name: 'server:restore',
    summary: 'Restore Eclipse Che from a backup',
    load: async () => (await import('./commands/server-restore.ts')).defineServerRestore,
  },
  {
    name: 'list',
    summary: 'List the backups of Eclipse Che in a repository',
    load: async () => (await import('./commands/list.ts')).defineList,
  },
  {
    name: 'show',
    summary: 'Show what is in a backup',
    load: async () => (await import('./commands/show.ts')).defineShow,
  },
  {
    name: 'diff',
    summary: 'Compare two backups, or a backup and the cluster',
    load: async () => (await import('./commands/diff.ts')).defineDiff,
  },
  {
    name: 'extract',
    summary: 'Write the files of a backup to a directory',
    load: async () => (await import('./commands/extract.ts')).defineExtract,
  },
  {
    name: 'operator',
    summary: 'Run the operator, which backs up and restores as custom resources ask it to',
    load: async () => (await import('./commands/operator.ts')).defineOperator,
  },
];

/** The program, with the command that `argv` names ready to run, or with all of them. */
export async function buildCheProgram(
  argv: readonly string[],
  flags: CheFlags,
  start: CheStart,
  { all = false }: { readonly all?: boolean } = {},
): Promise<CommandUnknownOpts> {
  const program = newProgram(
    'che-backup',
    'Backups of Eclipse Che',
    'Backs up and restores Eclipse Che: its configuration, users and workspaces as they are in the cluster, and its databases.',
  );
  program.version(versionLine(false, 'che-backup'), '--version', 'print the version');
  const [first, second] = findOperands(argv, CHE_FLAGS);
  const wanted = first === 'help' ? second : first;
  for (const { name, summary, load } of COMMANDS) {
    if (all || name === wanted) (await load())(program, start).summary(summary);
    else program.command(name).summary(summary);
  }
  declareGlobalFlags(program, CHE_FLAGS, flags);
  return program;
}
