/** The flags of `server:restore`. */
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Mismatch } from '@restic-engine/che-state';
import { InvalidValue, UsageError } from '../failure.ts';
import { parseDuration } from '../values/duration.ts';
import { collect } from '../values/filter.ts';
import { addOperatorFlags } from './operator-flags.ts';
import type { OperatorFlags } from './operator-flags.ts';
import type { ChoiceFlags } from './restore-choice.ts';
import { addServerFlags } from './server-flags.ts';

export interface RestoreFlags extends ChoiceFlags, OperatorFlags {
  readonly dryRun?: true | undefined;
  readonly allow?: readonly Mismatch[] | undefined;
  readonly domain?: string | undefined;
  readonly only?: readonly string[] | undefined;
  readonly remove?: true | undefined;
  readonly recreate?: true | undefined;
  /** false with --no-safety-snapshot */
  readonly safetySnapshot?: boolean | undefined;
  /** ms */
  readonly readyTimeout?: number | undefined;
  readonly impersonateCreators?: true | undefined;
  readonly operatorManifests?: string | undefined;
  readonly installer?: 'olm' | 'operator' | undefined;
  readonly olmChannel?: string | undefined;
}

const MISMATCHES: readonly Mismatch[] = ['cluster', 'domain', 'infrastructure', 'namespace', 'version'];

export function addRestoreFlags(command: CommandUnknownOpts): void {
  command
    .option('-s, --snapshot-id <id>', 'the snapshot to restore: an ID or its beginning, or latest')
    .option('-v, --version <version>', 'bring the Che operator of this version first, that of the snapshot')
    .option('--backup-cr-name <name>', 'restore what this CheClusterBackup has made, from the server that it names')
    .option('--rollback', 'go back to what was before the last update of the Che operator')
    .option('--dry-run', 'show what would be done, and change nothing')
    .option(
      '--allow <difference,...>',
      `restore although the backup is of another ${MISMATCHES.join(', ')}`,
      (text, before: readonly Mismatch[] = []) => [...before, ...text.split(',').map(parseMismatch)],
    )
    .option(
      '--domain <domain>',
      'domain of the routes or ingresses where Che is restored, if it is not that of the backup',
    )
    .option(
      '--only <selector>',
      'restore this alone: kind, kind/name, kind/namespace/name, namespace:name, databases or database:name, where * stands for any characters (can be specified multiple times)',
      collect,
    )
    .option('--remove', 'remove objects of the installation that are not in the backup')
    .option('--recreate', 'delete the CheCluster with everything that belongs to it first, instead of changing it')
    .option('--no-safety-snapshot', 'do not back up the installation as it is before it is changed')
    .addOption(
      new Option('--ready-timeout <duration>', 'how long to wait for Che, and for the operator that --version brings')
        .argParser(parseDuration)
        .default(undefined, '15m'),
    )
    .option(
      '--impersonate-creators',
      'make workspaces as their users, so that they stay theirs; needs the right to impersonate',
    )
    .option(
      '--operator-manifests <file>',
      'manifests of the Che operator for --version, where OLM has not installed it',
    )
    .addOption(new Option('--installer <name>', 'how the operator comes').choices(['olm', 'operator']).hideHelp())
    .addOption(new Option('--olm-channel <channel>', 'of no effect').hideHelp())
    .addOption(
      new Option('--listr-renderer <name>', 'of no effect').choices(['default', 'silent', 'verbose']).hideHelp(),
    );
  addServerFlags(command);
  addOperatorFlags(command);
}

function parseMismatch(text: string): Mismatch {
  const found = MISMATCHES.find((name) => name === text.trim());
  if (found !== undefined) return found;
  throw new InvalidValue(`"${text}" is none of ${MISMATCHES.join(', ')}`);
}

/** Flags of this command that contradict each other, beside those that say what is restored. */
export function checkRestoreFlags(flags: RestoreFlags): void {
  const bringsOperator = flags.version !== undefined || flags.backupCrName !== undefined || flags.rollback === true;
  if (flags.operatorManifests !== undefined && !bringsOperator) {
    throw new UsageError('--operator-manifests needs --version, --backup-cr-name or --rollback');
  }
  if (flags.installer === 'operator' && bringsOperator && flags.operatorManifests === undefined) {
    throw new UsageError('--installer operator needs --operator-manifests');
  }
  if (flags.installer === 'olm' && flags.operatorManifests !== undefined) {
    throw new UsageError('--installer olm cannot be used together with --operator-manifests');
  }
}
